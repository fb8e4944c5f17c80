"""One engine under measurement, seen from outside: a process that is asked line by line.

What can be asked is said in engine/measured.py. Knows processes and pipes; knows no figures.
"""

import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from engine.child import ROOT

#: Every numerical library has its own word for the same.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class EngineGone(Exception):
    """An engine that cannot be measured, or not any more; the text says why."""


class BenchEngine:
    """Starts on entering, and has then taken a token; ends on leaving."""

    def __init__(self, name: str, *, checkpoint: str | None, threads: int) -> None:
        self.threads = threads
        self.ready_s = 0.0
        self.ready: dict[str, Any] = {}  # what it said of itself
        self._name = name
        self._options = ["--threads", str(threads)]
        self._options += ["--checkpoint", checkpoint] if checkpoint else []

    def __enter__(self) -> Self:
        begun_s = time.monotonic()
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
            "from engine.measured import main; sys.exit(main(sys.argv[1:]))"
        )
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", program, self._name, *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(self.threads)),
        )
        try:
            self.ready = self._read()
        except EngineGone:
            self.__exit__(None, None, None)
            raise
        self.ready_s = time.monotonic() - begun_s
        return self

    def __exit__(self, *error: object) -> None:
        with self._process as process:  # closes its pipes, at which it ends
            process.communicate()
        self._errors.close()

    def ask(self, verb: str, count: int) -> list[float]:
        """Milliseconds of what is asked for; EngineGone if it dies over it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps([verb, count]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said last is read below
        ms: list[float] = self._read()["ms"]
        return ms

    def rss_mb(self) -> float:
        """Memory that it holds now."""
        return resident_mb(self._process.pid)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries greet on standard output, too
                answer: dict[str, Any] = json.loads(line)
                if "missing" in answer:
                    raise EngineGone(answer["missing"])
                return answer
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()
        raise EngineGone(f"{self._name} ended with {code}: {said[-1] if said else 'no word'}")


def resident_mb(pid: int) -> float:
    """Memory that a process holds; where the system has no /proc, `ps` is asked."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        asked = ["ps", "-o", "rss=", "-p", str(pid)]
        kilobytes = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        return int(kilobytes) * 1024 / 1e6
    return pages * mmap.PAGESIZE / 1e6
