"""A table to play at: a session, a schedule and a mind of paper, in virtual time.

    table = Table(mind=PaperMind("C5 D5"))
    table.play("C4 E4 G4", beat=0)
    assert table.until(beat=32) == [(16.0, "on", "C5"), ...]

Whatever is played here, `Table` holds the session to its laws: Segue strikes notes only while it is
its turn, never later than a horizon after their time, asks for no more wakes than it needs, and
says nothing to the mind that the wire would not carry.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, takewhile
from typing import Any, TypeVar

from daemon.cli.progress import NOTE_NAMES, note_name
from daemon.clock.transport import Transport
from daemon.interface.config import SessionConfig, Settings
from daemon.interface.events import (
    CommandIn,
    Effect,
    Entry,
    Handover,
    MidiIn,
    MindIn,
    ReleaseAll,
    Send,
    Tell,
    Tick,
)
from daemon.session.schedule import Due, Schedule
from daemon.session.session import Session
from daemon.take.journal import Journal, Sent
from engine import wire
from engine.protocol import (
    Cancel,
    Continue,
    Drafted,
    Finished,
    FromMind,
    Lost,
    Note,
    Prompt,
    Ready,
    ToMind,
)

NS_PER_MS = 1_000_000
START_NS = 1_000_000_000
#: More than the session ever asks for in a beat: twelve grid lines, and a few notes and releases.
MOST_WAKES_PER_BEAT = 64

Heard = tuple[float, str, str]  # beat, "on" or "off", name
AnyEffect = TypeVar("AnyEffect")


def pitch_of(name: str) -> int:
    """`pitch_of("C4")` is 60."""
    return NOTE_NAMES.index(name[:-1]) + 12 * (int(name[-1]) + 1)


def tune(text: str, *, beat: float = 0.0, step: float = 1.0, hold: float = 0.5) -> list[Note]:
    """One note after the other, `step` beats apart, each held for `hold` beats; - is a rest."""
    return [
        Note(beat + index * step, pitch_of(name), hold, 80)
        for index, name in enumerate(text.split())
        if name != "-"
    ]


def ons(heard: Sequence[Heard]) -> list[tuple[float, str]]:
    """Only what was struck: beat and name."""
    return [(beat, name) for beat, what, name in heard if what == "on"]


def is_on(message: bytes) -> bool:
    return message[0] & 0xF0 == 0x90 and message[2] > 0


class PaperMind:
    """Answers with the same tune from its entry to its end, and keeps what it was told."""

    def __init__(
        self,
        text: str = "C5 D5 E5 F5",
        *,
        step: float = 1.0,
        hold: float = 0.5,
        first_ms: float = 20.0,
        note_ms: float = 5.0,
        plays: Callable[[Continue], list[Note]] | None = None,
    ) -> None:
        self.first_ms = first_ms
        self.note_ms = note_ms
        self.alive = True
        self.known: dict[int, Note] = {}
        self.asked: list[Continue] = []
        self._text, self._step, self._hold = text, step, hold
        self._plays = plays

    def hears(self, value: ToMind) -> list[tuple[int, FromMind]] | None:
        """Return what it says, and how many ns later; None where it falls silent instead."""
        match value:
            case Prompt(put, dropped, _, reset):
                self.known = ({} if reset else self.known) | dict(put)
                for number in dropped:
                    del self.known[number]
                return []
            case Continue(epoch):
                self.asked.append(value)
                notes = (self._plays or self._same_again)(value)
                said = [
                    (self._after(index), Drafted(epoch, note)) for index, note in enumerate(notes)
                ]
                costs = (4.0,) * len(notes), (20.0,) * len(notes)
                done = Finished(epoch, False, 100, 90, *costs)
                return [*said, (self._after(len(notes)), done)]
            case Cancel():
                return None
        return []

    def _after(self, index: int) -> int:
        return round((self.first_ms + index * self.note_ms) * NS_PER_MS)

    def _same_again(self, request: Continue) -> list[Note]:
        count = range(round((request.until_beat - request.from_beat) / self._step) + 1)
        names = cycle(self._text.split())
        notes = [
            Note(request.from_beat + index * self._step, pitch_of(name), self._hold, 80)
            for index, name in zip(count, names, strict=False)
            if name != "-"
        ]
        return list(takewhile(lambda note: note.onset < request.until_beat - 1e-6, notes))


class Table:
    """Entries at their times, wakes when they are asked for, and everything that follows."""

    def __init__(
        self,
        *,
        mind: PaperMind | None = None,
        meter: tuple[int, int] = (4, 4),
        clock: str = "auto",
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.config = SessionConfig(
            settings=Settings(**settings), meter=meter, clock=clock, seed=seed
        )
        self.session = Session(self.config)
        self.mind = mind
        self.at = Transport(START_NS, 0.0, self.config.settings.bpm, True)
        self.now_ns = 0
        self.entries: list[Entry] = []
        self.effects: list[tuple[int, Effect]] = []
        self.sent: list[Sent] = []
        self._schedule = Schedule()
        self._coming: list[tuple[int, int, Entry]] = []
        self._count = 0
        self._heard_until = 0
        self._voice = "player"
        self._wakes: list[float] = []  # beats
        if mind is not None:
            self.comes(0, MindIn(0, Ready("paper", 1, 1)))

    # What the player does.

    def play(
        self, text: str, *, beat: float, step: float = 1.0, hold: float = 0.5, channel: int = 0
    ) -> None:
        """Play a tune."""
        for note in tune(text, beat=beat, step=step, hold=hold):
            self.press(note.pitch, beat=note.onset, channel=channel)
            self.release(note.pitch, beat=note.end, channel=channel)

    def chord(self, text: str, *, beat: float, hold: float = 0.5) -> None:
        """Play the notes at once."""
        for name in text.split():
            self.play(name, beat=beat, hold=hold)

    def press(self, pitch: int | str, *, beat: float, channel: int = 0) -> None:
        self.sends(beat, 0x90 | channel, _pitch(pitch), 80)

    def release(self, pitch: int | str, *, beat: float, channel: int = 0) -> None:
        self.sends(beat, 0x80 | channel, _pitch(pitch), 64)

    def control(self, number: int, value: int, *, beat: float) -> None:
        self.sends(beat, 0xB0, number, value)

    def sends(self, beat: float, *message: int) -> None:
        self.comes(self.at.ns_at(beat), MidiIn(self.at.ns_at(beat), bytes(message)))

    def command(self, name: str, *arguments: int | float | str, beat: float) -> None:
        t_ns = self.at.ns_at(beat)
        self.comes(t_ns, CommandIn(t_ns, name, arguments))

    def host(self, *messages: tuple[int, bytes]) -> None:
        """A host sends clock: (t_ns, message)."""
        for t_ns, message in messages:
            self.comes(t_ns, MidiIn(t_ns, message))

    # What happens to the mind.

    def mind_dies(self, *, beat: float) -> None:
        self._mind_says(beat, Lost("killed"))

    def mind_returns(self, *, beat: float) -> None:
        self._mind_says(beat, Ready("paper", 1, 1))

    def _mind_says(self, beat: float, value: FromMind) -> None:
        t_ns = self.at.ns_at(beat)
        self.comes(t_ns, MindIn(t_ns, value))

    # Time.

    def comes(self, t_ns: int, entry: Entry) -> None:
        """`entry` comes in at `t_ns`."""
        self._count += 1
        heapq.heappush(self._coming, (t_ns, self._count, entry))

    def until(self, *, beat: float) -> list[Heard]:
        """Go on to just before `beat`, and return what was heard since the last call."""
        self.until_ns(self.at.ns_at(beat))
        heard = self.sent[self._heard_until :]
        self._heard_until = len(self.sent)
        return [
            (
                round(self.at.beat_at(sent.sent_ns), 3),
                "on" if is_on(sent.message) else "off",
                note_name(sent.message[1]),
            )
            for sent in heard
        ]

    def until_ns(self, end_ns: int) -> None:
        """Go on until nothing more is to be done before `end_ns`."""
        while True:
            coming_ns = self._coming[0][0] if self._coming else end_ns
            wake_ns = self.session.next_wake_ns()
            if wake_ns is not None and wake_ns < min(coming_ns, end_ns):
                self._watch_wakes(wake_ns)
                self._pass(wake_ns)
                self._take(Tick(wake_ns))
            elif coming_ns < end_ns:
                entry = heapq.heappop(self._coming)[2]
                self._pass(coming_ns)
                self._take(entry)
            else:
                self._pass(end_ns - 1)
                return

    def freeze(self, *, until_beat: float) -> None:
        """Nobody wakes the session before `until_beat`; what was scheduled still leaves."""
        self._pass(self.at.ns_at(until_beat))
        self._take(Tick(self.now_ns))

    def finish(self) -> None:
        """Close the session where time stands; nothing may sound after it."""
        self._carry_out(self.session.finish())
        assert not self._schedule.sounding

    @property
    def sounding(self) -> set[str]:
        return {note_name(pitch) for _, pitch in self._schedule.sounding}

    def told(self, kind: type[AnyEffect]) -> list[AnyEffect]:
        """Every effect of one kind so far."""
        return [effect for _, effect in self.effects if isinstance(effect, kind)]

    def journal(self) -> Journal:
        """What a journal of this session would hold."""
        return Journal(self.config, "now", tuple(self.entries), tuple(self.sent), True)

    def _pass(self, t_ns: int) -> None:
        while (due_ns := self._schedule.next_due_ns) is not None and due_ns <= t_ns:
            self._leave(self._schedule.pop_due(due_ns), due_ns)
        self.now_ns = max(self.now_ns, t_ns)

    def _leave(self, due: Iterable[Due], t_ns: int) -> None:
        for item in due:
            self.sent.append(Sent(item.due_ns, max(t_ns, self.now_ns), item.message))

    def _take(self, entry: Entry) -> None:
        match entry:
            case MindIn(_, Ready() | Lost() as value) if self.mind is not None:
                self.mind.alive = isinstance(value, Ready)
                self._forget_replies()
        self.entries.append(entry)
        self._carry_out(self.session.handle(entry))

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self.effects.append((self.now_ns, effect))
            match effect:
                case Handover(voice):
                    self._voice = voice
                case Send(due_ns, message):
                    self._watch(due_ns, message)
                    self._schedule.push(due_ns, message)
                case ReleaseAll():
                    self._leave(self._schedule.release_all(self.now_ns), self.now_ns)
                case Tell(value):
                    self._tell(value)
        self._pass(self.now_ns)

    def _tell(self, value: ToMind) -> None:
        assert wire.decode(wire.encode(value)) == value
        if self.mind is None or not self.mind.alive:
            raise AssertionError("the session speaks to a mind that is not there")
        says = self.mind.hears(value)
        if says is None or isinstance(value, Continue):
            self._forget_replies()
        for after_ns, reply in says or []:
            self.comes(self.now_ns + after_ns, MindIn(self.now_ns + after_ns, reply))

    def _forget_replies(self) -> None:
        kept = [item for item in self._coming if not _is_reply(item[2])]
        heapq.heapify(kept)
        self._coming = kept

    def _watch(self, due_ns: int, message: bytes) -> None:
        if is_on(message):
            assert self._voice == "segue", "Segue strikes a note out of its turn"
            assert due_ns >= self.now_ns - self.config.horizon_ns, "Segue plays late"

    def _watch_wakes(self, wake_ns: int) -> None:
        now = self.session.beat_at(wake_ns)
        self._wakes = [beat for beat in self._wakes if beat > now - 1] + [now]
        assert len(self._wakes) <= MOST_WAKES_PER_BEAT, "the session does not let anyone sleep"


def _is_reply(entry: Entry) -> bool:
    return isinstance(entry, MindIn) and isinstance(entry.value, Drafted | Finished)


def _pitch(pitch: int | str) -> int:
    return pitch if isinstance(pitch, int) else pitch_of(pitch)
