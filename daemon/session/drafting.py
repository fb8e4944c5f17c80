"""The answer that sounds or comes next, and what is asked of the mind for it. Pure.

Knows the mind's state, epochs and drafts; not when an answer is wanted, nor how its notes sound.

A newer draft of an answer that sounds begins some way ahead, and the older one is played until
then. So the mind is told beforehand what that will be, as if it had been played; what then is not
is taken back.
"""

from collections.abc import Callable, Sequence

from daemon.interface.events import Effect, Planned, Tell
from daemon.listening.memory import Memory
from daemon.session.answer import Answer
from daemon.session.pace import Pace
from engine.meter import BEAT_TOLERANCE
from engine.protocol import Cancel, Continue, Controls, Finished, Note


class Drafting:
    """One answer at a time. `mind` is "loading", "ready" or "lost"."""

    def __init__(
        self,
        seed: int,
        memory: Memory,
        emit: Callable[[Effect], None],
        *,
        number: Callable[[], int],
    ) -> None:
        self.mind = "loading"
        self.answer: Answer | None = None
        self.pace = Pace()
        self._seed = seed
        self._memory = memory
        self._emit = emit
        self._number = number
        self._expected: dict[Note, int] = {}  # told beforehand, each under its number
        self._epoch = 0

    @property
    def is_without_notes(self) -> bool:
        """Whether there is no draft yet that would be a pity to lose."""
        return self.answer is None or not self.answer.has_notes

    def begin(self, entry_beat: float, exit_beat: float) -> None:
        """An answer is wanted from `entry_beat` to `exit_beat`."""
        frontier = entry_beat - BEAT_TOLERANCE  # an onset that is a rounding error early counts
        self.answer = Answer(until_beat=exit_beat, frontier=frontier, seed=self._next_seed())

    def ask(
        self, start_beat: float, controls: Controls, t_ns: int, *, expected: Sequence[Note] = ()
    ) -> None:
        """Ask the mind for the answer from `start_beat` on, given the notes as they are now.

        `expected` are those of the answer that are to be played before.
        """
        answer = self.answer
        if answer is None or self.mind != "ready" or start_beat >= answer.until_beat:
            return
        self._epoch += 1
        self._expect(expected)
        answer.open_draft(self._epoch, start_beat)
        self.pace.asked(self._epoch, t_ns)
        self.tell_news()
        request = Continue(self._epoch, start_beat, answer.until_beat, controls, self._next_seed())
        self._emit(Tell(request))

    def number_of(self, note: Note) -> int:
        """The number under which `note` is remembered, now that it is played."""
        return self._expected.pop(note) if note in self._expected else self._number()

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
        self._expect(())

    def _expect(self, notes: Sequence[Note]) -> None:
        """`notes` are to be played, and nothing else of what was expected before is."""
        before = self._expected
        self._expected = {
            note: before[note] if note in before else self._number() for note in notes
        }
        for note, number in self._expected.items():
            self._memory.put(number, note)
        for note, number in before.items():
            if note not in self._expected:
                self._memory.drop(number)

    def _next_seed(self) -> int:
        return (self._seed * 1_000_003 + self._epoch) & 0x7FFFFFFF
