"""What this process may ask of the system so that it is not kept waiting. Linux; elsewhere nothing.

Nothing here is needed: where the system permits it, the tail of lateness gets shorter.
"""

import contextlib
import ctypes
import gc
import os
import sys
from pathlib import Path

#: Of the thread that sends: under JACK's own (70 by default in our tests).
OUTPUT_PRIORITY = 60
#: Of all others of the player process: over every ordinary process, under everybody's audio. A
#: thread that is put aside while it holds Python's lock keeps the sending thread waiting, too.
PLAYER_PRIORITY = 5
#: Threads and processes that come later (the mind, above all) do not inherit it. linux/sched.h.
SCHED_RESET_ON_FORK = 0x40000000
#: Pages that are there, and pages that come, once they are touched. sys/mman.h.
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4


def ask_for_real_time(thread: int = 0, *, priority: int = OUTPUT_PRIORITY) -> bool:
    """Put a thread under real-time scheduling, by default the calling one; whether it was done."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    policy = os.SCHED_FIFO | SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(thread, policy, os.sched_param(priority))
    except OSError:
        return False
    return True


def favour_this_process() -> None:
    """Once all threads are there: real time for those that have none, memory that stays, and a
    garbage collector that need not look at what has been there since the start."""
    gc.collect()
    gc.freeze()
    if sys.platform != "linux":
        return
    for thread in (int(path.name) for path in Path("/proc/self/task").iterdir()):
        with contextlib.suppress(OSError):
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:
                ask_for_real_time(thread, priority=PLAYER_PRIORITY)
    _lock_memory()


def _lock_memory() -> None:
    import resource

    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    if unlimited or os.geteuid() == 0:  # else what is asked for later would fail
        ctypes.CDLL(None).mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
