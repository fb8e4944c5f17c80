"""How soon a mind is ready, how much memory it takes, and whether its first token is slower.

Each round starts the real child of the player, waits for its Ready, tells it a session, and asks
for a long answer. Medians of several rounds.

    python tests/benchmarks/mind_start.py [--checkpoint PATH] [--backends NAME …] [--rounds N]
"""

import argparse
import json
import queue
import statistics
import sys
import time
from pathlib import Path
from time import perf_counter
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.backends import NAMES
from engine.child import mind_command
from engine.client import MindClient
from engine.protocol import Continue, Controls, Finished, FromMind, Meter, Note, Prompt, Ready
from models.description import default_checkpoint

PLAYED = tuple((k, Note(k / 2, 48 + (5 * k) % 24, 0.5, 40 + 8 * (k % 8))) for k in range(128))
SESSION = Prompt(PLAYED, (), (Meter(0.0, 4, 4),), reset=True)
FROM_BEAT = 64.0
ANSWERS = 10
REST_S = 0.5  # before each answer: it has fed what was played, and its caches have gone cold
TIMEOUT_S = 120.0

Kind = TypeVar("Kind", bound=FromMind)


def until(said: "queue.SimpleQueue[FromMind]", kind: type[Kind]) -> Kind:
    """The next message of a kind."""
    while not isinstance(message := said.get(timeout=TIMEOUT_S), kind):
        pass
    return message


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process now and at its most; Linux."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    now, most = (int(found[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
    return now, most


def one_round(checkpoint: Path, backend: str) -> dict[str, float]:
    """Start a mind, let it answer, end it."""
    said: queue.SimpleQueue[FromMind] = queue.SimpleQueue()
    command = mind_command("--checkpoint", str(checkpoint), "--backend", backend)
    begun_s = perf_counter()
    with MindClient(receive=said.put, command=command) as client:
        ready = until(said, Ready)
        ready_s = perf_counter() - begun_s
        ready_mb, _ = memory_mb(ready.pid)
        client.send(SESSION)
        answers: list[tuple[float, ...]] = []
        for seed in range(ANSWERS):
            time.sleep(REST_S)
            client.send(Continue(1, FROM_BEAT, FROM_BEAT + 16, Controls(), seed))
            answers.append(until(said, Finished).token_ms)
        _, most_mb = memory_mb(ready.pid)
    return {
        "ready_s": ready_s,
        "rss_ready_mb": ready_mb,
        "rss_most_mb": most_mb,
        "first_token_ms": answers[0][0],
        "later_first_token_ms": statistics.median(answer[0] for answer in answers[1:]),
        "tokens_in_first_answer_ms": statistics.median(answers[0][1:]),
        "tokens_in_last_answer_ms": statistics.median(answers[-1][1:]),
    }


def main() -> None:
    """Print one JSON object; the backends take turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=default_checkpoint())
    parser.add_argument("--backends", nargs="+", choices=NAMES, default=["native", "numpy"])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rounds = [
        {name: one_round(args.checkpoint, name) for name in args.backends}
        for _ in range(args.rounds)
    ]
    medians = {
        name: {
            key: round(statistics.median(found[name][key] for found in rounds), 3)
            for key in rounds[0][name]
        }
        for name in args.backends
    }
    print(json.dumps(medians, indent=1))


if __name__ == "__main__":
    main()
