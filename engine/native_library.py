"""The compiled kernel, found and loaded once.

Knows where the wheel puts it and what its functions take; knows no networks and no tokens. The C is
in engine/kernel/; the wheel is built with it where there is a compiler, and without it elsewhere.
"""

import ctypes
import functools
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any


@functools.cache
def library() -> Any:
    """The kernel's functions; ImportError with the remedy where it was not built."""
    here = Path(__file__).resolve().parent
    files = [path for suffix in EXTENSION_SUFFIXES if (path := here / f"_kernel{suffix}").is_file()]
    if not files:
        raise ImportError(
            "Segue was installed without its compiled kernel; "
            "install it again where there is a C compiler (gcc or clang)"
        )
    try:
        found = ctypes.CDLL(str(files[0]))
        _declare(found)
    except (OSError, AttributeError) as error:
        raise ImportError(f"the kernel cannot be loaded, build it again: {error}") from error
    return found


def _declare(kernel: Any) -> None:
    """What each function takes and returns; what is not said returns an int."""
    pointer, number = ctypes.c_void_p, ctypes.c_int
    kernel.segue_path.restype, kernel.segue_path.argtypes = ctypes.c_char_p, [number]
    kernel.segue_open.restype, kernel.segue_open.argtypes = pointer, [pointer, pointer, number]
    kernel.segue_open_nested.restype = pointer
    kernel.segue_open_nested.argtypes = [pointer, pointer, number]
    kernel.segue_say.argtypes = [pointer, number, ctypes.c_char_p, number, pointer]
    kernel.segue_append.argtypes = [pointer, pointer, number, number, pointer]
    kernel.segue_next.argtypes = [pointer, ctypes.c_int32, number, pointer]
    kernel.segue_close.restype, kernel.segue_close.argtypes = None, [pointer]
    kernel.segue_choose.argtypes = [pointer, ctypes.c_char_p]
