"""What is asked of the system is given where it is permitted, and stays with the player process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: A process with a thread that waits asks for everything, and says what it and a child of it have.
PROGRAM = """
import gc, json, os, subprocess, sys, threading
from daemon.runtime.real_time import ask_for_real_time, favour_this_process
permitted = ask_for_real_time()
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
end = threading.Event()
threading.Thread(target=end.wait, daemon=True).start()
favour_this_process()
reset = 0x40000000
policies = [os.sched_getscheduler(int(thread)) & ~reset for thread in os.listdir("/proc/self/task")]
later = []
thread = threading.Thread(target=lambda: later.append(os.sched_getscheduler(0)))
thread.start()
thread.join()
asks = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
child = int(subprocess.run(asks, capture_output=True, text=True).stdout)
print(json.dumps([permitted, policies, later[0], child, gc.get_freeze_count()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is asked for")
def test_every_thread_of_the_player_and_no_child() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True
    )
    permitted, policies, later, child, frozen = json.loads(done.stdout)
    wanted = os.SCHED_FIFO if permitted else os.SCHED_OTHER
    assert policies == [wanted] * 2
    assert (later, child) == (os.SCHED_OTHER, os.SCHED_OTHER)
    assert frozen > 1000
