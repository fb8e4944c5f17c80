"""A Link session on a network of its own: Segue, a player at JACK, and a peer that leads.

    unshare --net python link_concert.py FOLDER [CHECKPOINT]

Run in a fresh network namespace, so that it meets nobody else's session. It plays the concert below
and leaves `concert.json` in the folder, beside Segue's journal: what the peer said, what was heard.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from stage import Musician, Process, Segue, eventually, ons, tune

PEER = Path(__file__).with_name("link_peer.py")
BEFORE, AFTER, OURS = 117.0, 137.0, 100.0
#: Link finds a peer of this machine within a second, as a rule.
DISCOVERY_S = 20.0


@dataclass
class Concert:
    """What the tests judge."""

    samples: list[tuple[int, float, float]] = field(default_factory=list)  # t_ns, beat, bpm
    strikes_ns: list[int] = field(default_factory=list)  # Segue's notes, as heard
    moments_ns: dict[str, int] = field(default_factory=dict)
    period_ms: float = 0.0
    stood_still_ms: float = 0.0  # JACK, at the worst
    peer_heard_bpm: float = 0.0  # after Segue set the tempo
    lines: list[str] = field(default_factory=list)


class Peer(Process):
    """link_peer.py, and what it has said."""

    def __init__(self, bpm: float) -> None:
        self.samples: list[tuple[int, float, float]] = []
        self.peers = 0
        super().__init__([sys.executable, str(PEER), str(bpm)], env=None, speaks="stdout")

    @property
    def bpm(self) -> float:
        """The session's tempo, as it sees it."""
        return self.samples[-1][2]

    def wish(self, text: str) -> None:
        """Let it do something."""
        pipe: IO[str] | None = self._process.stdin
        assert pipe is not None
        pipe.write(text + "\n")

    def leave(self) -> None:
        """Let it say goodbye and end."""
        self.wish("leave")
        self.wait()

    def _heard_line(self, words: list[str]) -> None:
        self.samples.append((int(words[1]), float(words[2]), float(words[3])))
        self.peers = int(words[4])


def play(folder: Path, checkpoint: str | None) -> Concert:
    """A peer leads, changes the tempo, takes Segue's, leaves and comes back."""
    concert = Concert()

    def now(name: str) -> None:
        concert.moments_ns[name] = time.monotonic_ns()

    options = ("--api", "jack", "--clock", "link", "--bpm", "90", "--bars", "1", "--osc-port", "0")
    segue = Segue(*options, takes=folder, checkpoint=Path(checkpoint) if checkpoint else None)
    player, peer = Musician("keys"), Peer(BEFORE)
    try:
        segue.await_line("ready: ")
        player.wire(segue)
        segue.await_mind()
        begin_ns = time.monotonic_ns()
        eventually(lambda: peer.peers > 0, "they find each other", timeout_s=DISCOVERY_S)
        segue.await_state(playing=1)
        time.sleep(1)
        now("joined")
        trade(player, BEFORE, bars=6)
        peer.wish(f"tempo {AFTER}")
        now("faster")
        trade(player, AFTER, bars=6)
        segue.command("bpm", OURS)
        wait_for(lambda: abs(peer.bpm - OURS) < 0.01)
        concert.peer_heard_bpm = peer.bpm
        now("ours")
        trade(player, OURS, bars=4)
        concert.samples += peer.samples
        now("alone")
        peer.leave()
        segue.await_line("fell silent", timeout_s=20)
        trade(player, OURS, bars=4)
        now("back")
        peer = Peer(BEFORE)
        segue.await_line("is back", timeout_s=DISCOVERY_S)
        time.sleep(1)
        already = len(peer.samples)
        trade(player, OURS, bars=4)
        concert.samples += peer.samples[already:]
        now("end")
        concert.stood_still_ms = player.stood_still_ms(begin_ns)
    finally:
        peer.kill()
        segue.stop()
        player.leave()
    concert.strikes_ns = [event.t_ns for event in ons(player.heard)]
    concert.period_ms = player.period_ms
    concert.lines = [line for _, line in segue.lines]
    return concert


def trade(player: Musician, bpm: float, *, bars: int) -> None:
    """Play a bar and listen to one, wherever the bar lines may be."""
    for _ in range(0, bars, 2):
        player.play(tune("C4 E4 G4 C5"), bpm=bpm)
        time.sleep(8 * 60 / bpm)


def wait_for(holds: Callable[[], bool]) -> None:
    """What does not come is seen by the test."""
    deadline_s = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline_s:
        time.sleep(0.01)


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    folder = Path(sys.argv[1])
    concert = play(folder / "takes", sys.argv[2] if len(sys.argv) > 2 else None)
    (folder / "concert.json").write_text(json.dumps(asdict(concert)))


if __name__ == "__main__":
    main()
