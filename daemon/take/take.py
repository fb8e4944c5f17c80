"""A take: what was played, by whom, and how well in time. Pure; made by replaying a journal.

The live daemon, `segue demo`, `segue replay` and the recovery of a take that was cut off all come
here: there is one way from a journal to a MIDI file and to a report.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from daemon.interface.config import SessionConfig
from daemon.interface.events import (
    Cut,
    Effect,
    Entry,
    Handover,
    MindIn,
    NoteEnded,
    ReleaseAll,
    Send,
    TakeMarked,
    TempoChanged,
    Voice,
)
from daemon.interface.messages import is_on
from daemon.session.session import Session
from daemon.take.journal import Journal, Sent
from engine.meter import bar_at
from engine.protocol import Finished, Lost, Meter, Note

#: The voices as they are called in files and pictures.
NAMES: dict[Voice, str] = {"player": "player", "segue": "Segue"}

#: What was due this close to a release may have left just before it, or not at all.
RELEASE_TOLERANCE_NS = 10_000_000


@dataclass(frozen=True, slots=True)
class Take:
    """Everything that a MIDI file, a picture or a report of a session needs."""

    player: tuple[Note, ...]
    segue: tuple[Note, ...]
    meters: tuple[Meter, ...]
    tempos: tuple[tuple[float, float], ...]  # (beat, bpm)
    handovers: tuple[Handover, ...]
    marks: tuple[TakeMarked, ...]
    cut: int  # notes that came too late to be in time
    costs: tuple[Finished, ...]
    mind_restarts: int

    def between(self, start: float, end: float) -> "Take":
        """The part from `start` to `end`, moved so that the bar it begins in is the first."""
        bar = bar_at(self.meters, start)
        shift = bar.start

        def moved(notes: tuple[Note, ...]) -> tuple[Note, ...]:
            return tuple(
                Note(note.onset - shift, note.pitch, note.duration, note.velocity)
                for note in notes
                if start <= note.onset < end
            )

        tempo = [bpm for beat, bpm in self.tempos if beat <= start][-1:]
        later = [(beat - shift, bpm) for beat, bpm in self.tempos if start < beat < end]
        return Take(
            player=moved(self.player),
            segue=moved(self.segue),
            meters=(
                replace(bar.meter, beat=0.0),
                *(
                    replace(meter, beat=meter.beat - shift)
                    for meter in self.meters
                    if shift < meter.beat < end
                ),
            ),
            tempos=(*((0.0, bpm) for bpm in tempo), *later),
            handovers=tuple(
                Handover(handover.voice, handover.beat - shift, handover.due_ns)
                for handover in self.handovers
                if start <= handover.beat < end
            ),
            marks=(),
            cut=self.cut,
            costs=self.costs,
            mind_restarts=self.mind_restarts,
        )


def replay(config: SessionConfig, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Effect]]:
    """Give again every effect of a session, beside the entry that it follows from."""
    session = Session(config)
    for entry in entries:
        for effect in session.handle(entry):
            yield entry, effect


def take_of(journal: Journal) -> Take:
    """Build the take of a journal; notes that sounded when it broke off end with it."""
    session = Session(journal.session)
    effects: list[Effect] = []
    for entry in journal.entries:
        effects += session.handle(entry)
    effects += session.finish()
    said = [entry.value for entry in journal.entries if isinstance(entry, MindIn)]
    ended = [e for e in effects if isinstance(e, NoteEnded) and e.note.duration > 0]
    return Take(
        player=tuple(sorted(e.note for e in ended if e.voice == "player")),
        segue=tuple(sorted(e.note for e in ended if e.voice == "segue")),
        meters=session.meters,
        tempos=tuple((e.beat, e.bpm) for e in effects if isinstance(e, TempoChanged)),
        handovers=tuple(e for e in effects if isinstance(e, Handover)),
        marks=tuple(e for e in effects if isinstance(e, TakeMarked)),
        cut=sum(isinstance(e, Cut) for e in effects),
        costs=tuple(value for value in said if isinstance(value, Finished)),
        mind_restarts=sum(isinstance(value, Lost) for value in said),
    )


def parts(take: Take) -> list[Take]:
    """The takes that were marked with record and stop; the whole, if none was."""
    found: list[Take] = []
    start: float | None = None
    for mark in take.marks:
        if start is not None:
            found.append(take.between(start, mark.beat))
        start = mark.beat if mark.recording else None
    if start is not None:
        found.append(take.between(start, float("inf")))
    return found or [take]


def differences(journal: Journal) -> list[str]:
    """Compare what a replay sends with what was sent: one line for each note that differs."""
    planned: Counter[tuple[int, bytes]] = Counter()
    doubtful: Counter[tuple[int, bytes]] = Counter()
    last_ns = 0
    for entry, effect in replay(journal.session, journal.entries):
        last_ns = entry.t_ns
        if isinstance(effect, Send) and is_on(effect.message):
            planned[(effect.due_ns, effect.message)] += 1
        elif isinstance(effect, ReleaseAll):
            _release(planned, doubtful, entry.t_ns)
    _release(planned, doubtful, last_ns)
    sent = Counter((sent.due_ns, sent.message) for sent in journal.sent if is_on(sent.message))
    lines = [f"not sent at the time: {_shown(key)}" for key in (planned - sent).elements()]
    lines += [
        f"not sent by the replay: {_shown(key)}" for key in (sent - planned - doubtful).elements()
    ]
    return lines


def _release(
    planned: "Counter[tuple[int, bytes]]", doubtful: "Counter[tuple[int, bytes]]", t_ns: int
) -> None:
    """Forget what was not due by `t_ns`; what was nearly due may have been sent, or not."""
    for key in [key for key in planned if key[0] > t_ns - RELEASE_TOLERANCE_NS]:
        doubtful[key] += planned.pop(key)


def _shown(key: tuple[int, bytes]) -> str:
    return f"{key[1].hex(' ')} at {key[0]} ns"


def lateness_ns(sent: Iterable[Sent]) -> list[int]:
    """How late each note-on left, in nanoseconds."""
    return [item.sent_ns - item.due_ns for item in sent if is_on(item.message)]
