"""Writes a file whole or not at all. Knows paths and bytes; not what they mean."""

import os
from pathlib import Path


class NotWritten(OSError):
    """A file could not be written; the text is one line that names the file and the fix."""


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`; a reader sees the old file or the new one, never a part of it.

    Raises `NotWritten`.
    """
    # In the same folder, since a rename is only atomic within one file system.
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise NotWritten(f"cannot write {path}: {_advice(path, error)}") from error


def _advice(path: Path, error: OSError) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}; make it first"
    if path.is_dir():
        return "a folder of that name is there; choose another name"
    reason = (error.strerror or type(error).__name__).lower()
    return f"{reason}; free some space or choose another folder"
