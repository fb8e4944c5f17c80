"""Writes a file whole or not at all. Knows paths and bytes; not what they mean."""

import contextlib
import errno
import os
from pathlib import Path


class NotWritten(OSError):
    """A file could not be written; the text is one line that names the file and the fix."""


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`; a reader sees the old file or the new one, never a part of it.

    Raises `NotWritten`.
    """
    draft = _draft_of(path)
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise NotWritten(f"cannot write {path}: {_advice(path, error)}") from error


def check_writable(path: Path) -> None:
    """Raise `NotWritten` where `write_whole` would, before the work on what is to be written."""
    draft = _draft_of(path)
    try:
        if path.is_dir():
            raise IsADirectoryError
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise NotWritten(f"cannot write {path}: {_advice(path, error)}") from error


def folder_trouble(error: OSError, *, flag: str) -> str:
    """One line of what the disk said: with its own fix, or with the flag that names a folder."""
    if isinstance(error, NotWritten) or error.filename is None:
        return str(error)
    reason = (error.strerror or type(error).__name__).lower()
    return f"cannot write {error.filename}: {reason}; give another folder with {flag}"


def _draft_of(path: Path) -> Path:
    """In the same folder, since a rename is only atomic within one file system."""
    return path.parent / f".{path.name}.{os.getpid()}.part"


def _advice(path: Path, error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return "its name is too long; choose a shorter one"
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}; make it first"
    if path.is_dir():
        return "a folder of that name is there; choose another name"
    reason = (error.strerror or type(error).__name__).lower()
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"{reason}; {'free some space' if full else 'choose another name or folder'}"
