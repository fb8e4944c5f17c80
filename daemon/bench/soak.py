"""`segue bench soak`: a session in the worst of company, in virtual time, message after message.

One life follows the other, each set up at random: the player plays over Segue's notes, minds are
killed in the middle of an answer, hosts start, stop, jump and lose ticks, modes and tempi change,
somebody panics. It is the session and the schedule of the live daemon, with no port and no clock on
the wall; a listener with a ledger of his own counts what no listener should hear.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from daemon.bench.chaos import NS_PER_S, Chaos
from daemon.interface.config import SessionConfig
from daemon.interface.events import Effect, Entry, MidiIn, ReleaseAll, Send, Tell, Tick
from daemon.interface.messages import NOTE_OFF, NOTE_ON, is_on
from daemon.session.schedule import Due, Schedule
from daemon.session.session import Session
from daemon.take.report import IN_TIME_MS

NS_PER_MS = 1_000_000
NS_PER_HOUR = 3600 * NS_PER_S
#: How long a life lasts, in seconds.
SHORTEST_S, LONGEST_S = 20, 900
#: Each so many-th life is played again from its inbox, which has to give the same effects.
REPLAYED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--messages", type=int, default=100_000, help="of notes to be sent (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, other accidents")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Soak until so many messages were sent; 1 if the listener heard a fault."""
    if args.messages < 1:
        print("segue bench soak: --messages has to be 1 or more", file=sys.stderr)
        return 2
    report = Soak(seed=args.seed).run(args.messages)
    print(json.dumps(report) if args.json else table(report))
    return 1 if report["hanging_notes"] or report["struck_twice"] or report["unlike"] else 0


class Listener:
    """Hears what is sent, and keeps a ledger that is not the schedule's."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()
        self.sounding: set[tuple[int, int]] = set()

    def hear(self, message: bytes, late_ns: int) -> None:
        """One message."""
        if message[0] & 0xF0 not in (NOTE_OFF, NOTE_ON):
            self.heard["clock"] += 1
            return
        self.heard["messages"] += 1
        key = (message[0] & 0x0F, message[1])
        if is_on(message):
            self.heard["notes"] += 1
            self.heard["late"] += late_ns > IN_TIME_MS * NS_PER_MS
            self.heard["struck twice"] += key in self.sounding
            self.sounding.add(key)
        else:
            self.sounding.discard(key)

    def expects_silence(self) -> None:
        """Everything was released: what still sounds hangs."""
        self.heard["hanging"] += len(self.sounding)
        self.sounding.clear()


class Soak:
    """Lives of a session, one after the other, on one virtual clock."""

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._chance = random.Random(seed)
        self._chaos = Chaos(self._chance)
        self._listener = Listener()
        self._schedule = Schedule()
        self._now_ns = NS_PER_S
        self._entries = 0
        self._messages_in = 0
        self._unlike = 0

    def run(self, messages: int) -> dict[str, Any]:
        """Live until so many messages were sent; the report."""
        began_s, began_ns = time.perf_counter(), self._now_ns
        heard = self._listener.heard
        lives = 0
        while heard["messages"] < messages:
            self._live(lives, messages)
            lives += 1
        counts = self._chaos.counts
        return {
            "messages_out": heard["messages"],
            "notes_out": heard["notes"],
            "clock_out": heard["clock"],
            "messages_in": self._messages_in,
            "entries": self._entries,
            "hours": (self._now_ns - began_ns) / NS_PER_HOUR,
            "lives": lives,
            "minds_killed": counts["minds killed"],
            "commands": counts["commands"],
            "host_stretches": counts["host stretches"],
            "hanging_notes": heard["hanging"],
            "struck_twice": heard["struck twice"],
            "late_notes": heard["late"],
            "in_time_rate": 1 - heard["late"] / heard["notes"] if heard["notes"] else None,
            "unlike": self._unlike,
            "seed": self._seed,
            "seconds": time.perf_counter() - began_s,
        }

    def _live(self, number: int, messages: int) -> None:
        """One session from its beginning to its end."""
        config = self._chaos.config()
        session = Session(config)
        end_ns = self._now_ns + self._chance.randrange(SHORTEST_S, LONGEST_S) * NS_PER_S
        self._chaos.begin(self._now_ns)
        taken: list[tuple[Entry, Sequence[Effect]]] = []
        is_replayed = number % REPLAYED == 0
        while self._now_ns < end_ns and self._listener.heard["messages"] < messages:
            entry = self._next_entry(session, end_ns)
            if entry is None:
                continue
            effects = session.handle(entry)
            if is_replayed:
                taken.append((entry, effects))
            self._carry_out(effects, config)
        self._carry_out(session.finish(), config)
        self._send(self._schedule.stop_clock(self._now_ns))
        self._schedule = Schedule()
        self._listener.expects_silence()
        self._unlike += _unlike(config, taken)

    def _next_entry(self, session: Session, end_ns: int) -> Entry | None:
        """Move on to what comes next, or to what the session wants to be woken for."""
        coming_ns = min(self._chaos.next_ns(), end_ns)
        wake_ns = session.next_wake_ns()
        self._pass(coming_ns if wake_ns is None else min(wake_ns, coming_ns))
        self._entries += 1
        if wake_ns is not None and wake_ns < coming_ns:
            return Tick(wake_ns)
        entry = self._chaos.pop() if coming_ns < end_ns else None
        self._messages_in += isinstance(entry, MidiIn)
        return entry

    def _carry_out(self, effects: Sequence[Effect], config: SessionConfig) -> None:
        for effect in effects:
            match effect:
                case Send(due_ns, message):
                    self._schedule.push(due_ns - config.output_latency_ns, message)
                case ReleaseAll():
                    self._send(self._schedule.release_all(self._now_ns))
                    self._listener.expects_silence()
                case Tell(value):
                    self._chaos.hears(self._now_ns, value)
        self._pass(self._now_ns)

    def _pass(self, t_ns: int) -> None:
        """Let time pass; what is due leaves at its time, and what was due before leaves now."""
        while (due_ns := self._schedule.next_due_ns) is not None and due_ns <= t_ns:
            self._now_ns = max(self._now_ns, due_ns)
            self._send(self._schedule.pop_due(due_ns))
        self._now_ns = max(self._now_ns, t_ns)

    def _send(self, due: Sequence[Due]) -> None:
        for item in due:
            self._listener.hear(item.message, self._now_ns - item.due_ns)


def _unlike(config: SessionConfig, taken: Sequence[tuple[Entry, Sequence[Effect]]]) -> int:
    """How many entries give other effects when the same inbox is played again."""
    session = Session(config)
    return sum(session.handle(entry) != effects for entry, effects in taken)


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    return (
        f"{report['messages_out']} messages of {report['notes_out']} notes, and "
        f"{report['clock_out']} of our clock, in {report['lives']} lives and "
        f"{report['hours']:.1f} virtual hours, with {report['messages_in']} messages in, "
        f"{report['minds_killed']} minds killed, {report['commands']} commands and "
        f"{report['host_stretches']} stretches of a host's clock; "
        f"seed {report['seed']}, {report['seconds']:.0f} s\n"
        f"hanging notes {report['hanging_notes']}, struck while they sound "
        f"{report['struck_twice']}, late {report['late_notes']}, "
        f"entries that a replay answers otherwise {report['unlike']}"
    )
