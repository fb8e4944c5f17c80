"""The answer that sounds or comes next, and what is asked of the mind for it. Pure.

Knows the mind's state, epochs and drafts; not when an answer is wanted, nor how its notes sound.
"""

from collections.abc import Callable

from daemon.interface.events import Effect, Planned, Tell
from daemon.listening.memory import Memory
from daemon.session.answer import Answer
from daemon.session.pace import Pace
from engine.meter import BEAT_TOLERANCE
from engine.protocol import Cancel, Continue, Controls, Finished, Note


class Drafting:
    """One answer at a time. `mind` is "loading", "ready" or "lost"."""

    def __init__(self, seed: int, memory: Memory, emit: Callable[[Effect], None]) -> None:
        self.mind = "loading"
        self.answer: Answer | None = None
        self.pace = Pace()
        self._seed = seed
        self._memory = memory
        self._emit = emit
        self._epoch = 0

    @property
    def is_without_notes(self) -> bool:
        """Whether there is no draft yet that would be a pity to lose."""
        return self.answer is None or not self.answer.has_notes

    def begin(self, entry_beat: float, exit_beat: float) -> None:
        """An answer is wanted from `entry_beat` to `exit_beat`."""
        frontier = entry_beat - BEAT_TOLERANCE  # an onset that is a rounding error early counts
        self.answer = Answer(until_beat=exit_beat, frontier=frontier, seed=self._next_seed())

    def ask(self, start_beat: float, controls: Controls, t_ns: int) -> None:
        """Ask the mind for the answer from `start_beat` on, given the notes as they are now."""
        answer = self.answer
        if answer is None or self.mind != "ready" or start_beat >= answer.until_beat:
            return
        self._epoch += 1
        answer.open_draft(self._epoch, start_beat)
        self.pace.asked(self._epoch, t_ns)
        self.tell_news()
        request = Continue(self._epoch, start_beat, answer.until_beat, controls, self._next_seed())
        self._emit(Tell(request))

    def tell_news(self) -> None:
        """Tell the mind what has changed in what was played."""
        if self.mind == "ready" and self._memory.has_news:
            self._emit(Tell(self._memory.news()))

    def tell_everything(self) -> None:
        """Tell a mind that has just come all that is remembered."""
        self.mind = "ready"
        self._emit(Tell(self._memory.everything()))

    def drafted(self, epoch: int, note: Note, t_ns: int) -> bool:
        """Take a note; return whether it has come too late for its place in the answer."""
        self.pace.answered(epoch, t_ns)
        if self.answer is None or not self.answer.knows(epoch):
            return False  # it belongs to an answer that was withdrawn
        self._emit(Planned(epoch, note))
        return not self.answer.add(epoch, note)

    def finished(self, value: Finished) -> None:
        """The mind has said all of an epoch."""
        if self.answer is not None and not value.cancelled:
            self.answer.finish(value.epoch)

    def leads(self, epoch: int) -> bool:
        """Whether what sounds now is the draft of `epoch`, so that a late note still fits in."""
        return self.answer is not None and self.answer.leader == epoch

    def is_missed(self, epoch: int) -> bool:
        """Whether a late note of `epoch` leaves a hole that no other draft has filled."""
        return self.answer is not None and epoch == self._epoch and self.answer.leader in (epoch, 0)

    def withdraw(self) -> None:
        """The answer is over, or not wanted any more."""
        if self.answer is not None and self.mind == "ready":
            self._emit(Tell(Cancel(self._epoch)))
        self.answer = None

    def _next_seed(self) -> int:
        return (self._seed * 1_000_003 + self._epoch) & 0x7FFFFFFF
