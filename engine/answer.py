"""What all answers have in common, whatever their network takes step by step.

Knows the window, the cache, the grid and the span of an answer; knows no grammar and no sampling.
An answer works in steps of a few milliseconds: one chunk of a prompt, or one choice.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, Generic

from engine.cache import Logits, Step, TokenCache
from engine.grid import GridBar
from engine.protocol import Continue, Note
from engine.sampling import Sampler
from engine.tokens import Placed, Tokenizer
from engine.window import Costs, Window, window_of


class Answer(ABC, Generic[Step]):
    """One answer in the making: call `step` until `finished`.

    A kind of network has a subclass, which says what music takes of a cache and how it is told.
    """

    costs: ClassVar[Costs]
    smallest_capacity: ClassVar[int]  # with less, the past would be a bar or two
    room: ClassVar[int]  # from the end of one note to the end of the next

    def __init__(
        self,
        cache: TokenCache[Step],
        tokenizer: Tokenizer,
        window: Window,
        request: Continue,
        sampler: Sampler,
        *,
        budget: int,
    ) -> None:
        self._cache = cache
        self._tokenizer = tokenizer
        self._request = request
        self._sampler = sampler
        self._budget = budget
        self._notes: list[Placed] = list(window.notes)  # the past, then the answer
        self.tokens_chosen = 0
        prompt = self._enter(window)
        self.prompt_tokens = len(prompt)
        self.cached_tokens = cache.aim(prompt)

    @staticmethod
    @abstractmethod
    def spell(window: Window, tokenizer: Tokenizer) -> list[Step]:
        """A window as steps."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether the answer is whole."""

    @abstractmethod
    def _enter(self, window: Window) -> list[Step]:
        """The window and what leads to the first beat of the answer, as steps."""

    @abstractmethod
    def _resume(self, window: Window) -> list[Step]:
        """The window as steps, to go on behind its last note."""

    @abstractmethod
    def _choose(self, logits: Logits) -> Note | None:
        """Choose what comes next; the note when that completes one."""

    def step(self) -> Note | None:
        """Feed a chunk, or choose what comes next; the note when that completes one."""
        if self.finished:
            return None
        logits = self._cache.feed()
        if logits is None:
            return None
        self.tokens_chosen += 1
        return self._choose(logits)

    def _sound(self, bar: GridBar, placed: Placed) -> tuple[Note, Placed]:
        """The note, cut at the end of the answer, and on the grid as what will sound.

        The cut note comes back from the player as cut, so the cache should hold it as that.
        """
        tokenizer, request = self._tokenizer, self._request
        note = tokenizer.note_in(bar, placed)
        if note.onset < request.from_beat:
            note = replace(note, onset=request.from_beat)
        if note.end > request.until_beat:
            note = replace(note, duration=request.until_beat - note.onset)
            steps = tokenizer.grid.duration_steps(note.duration, bar)
            placed = placed._replace(duration=tokenizer.vocabulary.duration_token(steps))
        self._notes.append(placed)
        return note, placed

    def _make_room(self) -> None:
        """If the answer outgrew the cache, forget the oldest bars and go on from there."""
        if self._cache.length + self.room > self._cache.capacity:
            end = len(self._notes)
            window = window_of(self._notes, end, budget=self._budget, costs=self.costs)
            self._cache.aim(self._resume(window))
