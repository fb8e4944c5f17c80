"""Which notes of which draft are played. Pure; knows beats, drafts and the stand-in.

Theory of operation. An answer may have several drafts at a time: each time the prompt changes
before the handover a newer one is asked for, and another one after the mind was lost. The rule for
every onset is the same: the newest draft that has come as far as this onset decides. Where no draft
of the mind has come, the stand-in has; but not at once after a note of the mind that was in time,
since more is on its way. The frontier is the beat up to which everything is decided; it only moves
forward, and what comes behind it is cut.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.meter import BEAT_TOLERANCE
from engine.protocol import Meter, Note
from engine.standin import answer as standin_answer

#: The stand-in enters on a line of this grid, the same as the mind's (DESIGN: 12 steps a beat).
GRID_STEPS_PER_BEAT = 12
#: After a note of the mind the stand-in waits for this long: a sixteenth more is no hole.
PATIENCE_BEATS = 0.25
#: Older drafts with notes than this many are not needed: each later one has overtaken them.
KEPT_DRAFTS = 4

History: TypeAlias = Callable[[], Sequence[Note]]


@dataclass(slots=True)
class Draft:
    """The notes of one epoch as they arrive, onsets never falling back."""

    epoch: int
    from_beat: float
    until_beat: float
    notes: list[Note] = field(default_factory=list)
    finished: bool = False
    reach: float = -math.inf  # the last onset that came in time

    def covers(self, beat: float) -> bool:
        """Whether the draft has come as far as `beat`, and so says what is played there."""
        if not self.from_beat - BEAT_TOLERANCE <= beat < self.until_beat:
            return False
        return self.finished or bool(self.notes and beat <= self.notes[-1].onset + BEAT_TOLERANCE)

    def keeps_quiet(self, beat: float) -> bool:
        """Whether the stand-in has nothing to do at `beat`: the draft covers, or is about to."""
        return self.covers(beat) or self.reach < beat < self.reach + PATIENCE_BEATS


@dataclass(slots=True)
class Answer:
    """The drafts of the answer that sounds, or comes next, in [`frontier`, `until_beat`)."""

    until_beat: float
    frontier: float
    seed: int
    leader: int = 0  # the epoch whose note was decided last; 0 is the stand-in's
    _drafts: list[Draft] = field(default_factory=list)  # newest first
    _standin: Draft | None = None

    @property
    def has_notes(self) -> bool:
        """Whether any draft of the mind has a note yet."""
        return any(draft.notes for draft in self._drafts)

    def open_draft(self, epoch: int, from_beat: float) -> None:
        """A newer draft has been asked for; one without a note so far will not get any now."""
        begun = [draft for draft in self._drafts if draft.notes]
        self._drafts = [Draft(epoch, from_beat, self.until_beat), *begun][:KEPT_DRAFTS]

    def end_at(self, until_beat: float) -> None:
        """Let the answer go on to `until_beat`, or end there; the next draft goes as far."""
        self.until_beat = until_beat
        self._standin = None

    def knows(self, epoch: int) -> bool:
        """Whether `epoch` is one of the drafts of this answer."""
        return any(draft.epoch == epoch for draft in self._drafts)

    def add(self, epoch: int, note: Note) -> bool:
        """Take a note of `epoch`, which is known; return whether it is still to be decided."""
        in_time = note.onset >= self.frontier
        for draft in self._drafts:
            if draft.epoch == epoch:
                draft.notes.append(note)
                draft.reach = note.onset if in_time else draft.reach
        return in_time

    def finish(self, epoch: int) -> None:
        """The draft of `epoch` is whole."""
        for draft in self._drafts:
            draft.finished = draft.finished or draft.epoch == epoch

    def next_onset(self) -> float:
        """The next beat at which there may be something to decide.

        A line of the grid at the latest: where no draft covers, the stand-in plays on it.
        """
        steps = math.floor((self.frontier + BEAT_TOLERANCE) * GRID_STEPS_PER_BEAT)
        onsets = (note.onset for draft in self._drafts for note in draft.notes)
        coming = [beat for beat in onsets if beat >= self.frontier]
        return min([(steps + 1) / GRID_STEPS_PER_BEAT, *coming])

    def decide(self, beat: float, *, history: History, meters: tuple[Meter, ...]) -> list[Note]:
        """Move the frontier to `beat` and return the notes with onsets that it passed, in order.

        `history` gives the notes played so far; it is called only where the stand-in has to play.
        """
        beat = min(beat, self.until_beat)
        if beat <= self.frontier:
            return []
        decided = self._before(beat, [*self._drafts, self._standin_draft(history, meters)])
        self.frontier = beat
        if decided:
            self.leader = decided[-1][1]
        return [note for note, _ in decided]

    def expected(self, beat: float) -> list[Note]:
        """The notes that the mind's drafts, as they are now, have yet to play before `beat`."""
        return [note for note, _ in self._before(beat, self._drafts)]

    def _before(self, beat: float, drafts: Sequence[Draft]) -> list[tuple[Note, int]]:
        """What these drafts play from the frontier to `beat`, in order, each with its epoch."""
        return sorted(
            (note, draft.epoch)
            for draft in drafts
            for note in draft.notes
            if self.frontier <= note.onset < beat and self._decides(draft, note.onset)
        )

    def _decides(self, draft: Draft, beat: float) -> bool:
        if draft is self._standin:
            return not any(other.keeps_quiet(beat) for other in self._drafts)
        return draft is next((other for other in self._drafts if other.covers(beat)), None)

    def _standin_draft(self, history: History, meters: tuple[Meter, ...]) -> Draft:
        if self._standin is not None:
            return self._standin
        if any(draft.keeps_quiet(self.frontier) for draft in self._drafts):
            return Draft(0, self.frontier, self.until_beat)
        steps = math.ceil((self.frontier - BEAT_TOLERANCE) * GRID_STEPS_PER_BEAT)
        start = steps / GRID_STEPS_PER_BEAT
        notes = standin_answer(
            history(), meters, from_beat=start, until_beat=self.until_beat, seed=self.seed
        )
        self._standin = Draft(0, start, self.until_beat, list(notes), finished=True)
        return self._standin
