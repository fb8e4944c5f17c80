"""What of a long session the model sees.

Knows placed notes and a budget of tokens or rows; knows no beats, caches or networks. The window is
a pure function of the notes, so that an answer never depends on how the session came to be what it
is.

The window begins at a bar with notes, the first of a block of eight bars, and stays there while
the music grows; when it no longer fits the budget, it moves to the next block. So most of the time
a new prompt begins with the tokens of the one before, and the cache holds them already. Where
eight bars are so dense that less than half of the budget would be used, blocks of four, two and
one are tried; and where a single bar is too much, its first notes are left out.

A silence longer than MOST_EMPTY bars is told as that many: a player who comes back after an hour
finds a mind that remembers what was played, not an hour of empty bars.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engine.tokens import BAR_TOKENS, NOTE_TOKENS, STEP_TOKENS, Placed, Tokenizer

BLOCKS = (8, 4, 2, 1)  # bars
MOST_EMPTY = 8  # bars


@dataclass(frozen=True, slots=True)
class Costs:
    """What music takes of a cache, at most."""

    bar: int  # with notes in it
    empty_bar: int
    step: int  # that notes begin at
    note: int


IN_TOKENS = Costs(bar=BAR_TOKENS, empty_bar=BAR_TOKENS, step=STEP_TOKENS, note=NOTE_TOKENS)


@dataclass(frozen=True, slots=True)
class Window:
    """The notes that the model sees, sorted; the first of them lies in the first bar."""

    notes: tuple[Placed, ...]

    def spell(self, tokenizer: Tokenizer, *, last_bar: int | None = None) -> list[int]:
        """BOS and the window's tokens, long silences shortened, bars written up to `last_bar`."""
        tokens = [tokenizer.vocabulary.bos]
        for notes in _between_silences(self.notes):
            if len(tokens) > 1:
                before = notes[0].bar - MOST_EMPTY
                tokens += tokenizer.spell((), first_bar=before, last_bar=notes[0].bar - 1)
            tokens += tokenizer.spell(notes, first_bar=notes[0].bar)
        if last_bar is not None:
            next_bar = self.notes[-1].bar + 1 if self.notes else last_bar
            first = max(next_bar, last_bar - MOST_EMPTY)
            tokens += tokenizer.spell((), first_bar=first, last_bar=last_bar)
        return tokens


def window_of(
    placed: Sequence[Placed], end: int, *, budget: int, costs: Costs = IN_TOKENS
) -> Window:
    """The window over ``placed[:end]``, sorted notes, in at most `budget` tokens and a BOS.

    Looks at no more notes than fill the budget.
    """
    begins = list(_bars_from_the_end(placed, end, budget, costs))
    if not begins:
        return Window(_last_notes(placed, end, budget, costs))
    oldest = begins[-1][0]
    if oldest == 0:
        return Window(tuple(placed[:end]))
    for block in BLOCKS:
        lines = [
            (index, tokens)
            for index, tokens in begins
            if placed[index].bar // block != placed[index - 1].bar // block
        ]
        if lines and (lines[-1][1] * 2 >= budget or block == 1):
            return Window(tuple(placed[lines[-1][0] : end]))
    raise AssertionError("every bar begins a block of one bar")


def _bars_from_the_end(
    placed: Sequence[Placed], end: int, budget: int, costs: Costs
) -> Iterator[tuple[int, int]]:
    """Of each bar that fits, latest first: index of its first note, tokens from there on."""
    tokens = 0
    for index in range(end - 1, -1, -1):
        note = placed[index]
        before = placed[index - 1] if index else None
        if before is None or before[:3] != note[:3]:
            tokens += costs.note
        if before is None or before.where != note.where:
            tokens += costs.step
        if before is None or before.bar != note.bar:
            tokens += costs.bar
            if tokens > budget:
                return
            yield index, tokens
            if before is not None:
                tokens += costs.empty_bar * min(note.bar - before.bar - 1, MOST_EMPTY)
        if tokens > budget:
            return


def _last_notes(
    placed: Sequence[Placed], end: int, budget: int, costs: Costs
) -> tuple[Placed, ...]:
    """The last notes of a bar that is too dense for the budget."""
    first = end
    room = budget - costs.bar
    while first > 0 and placed[first - 1].bar == placed[end - 1].bar:
        room -= costs.note
        if first == end or placed[first - 1].where != placed[first].where:
            room -= costs.step
        if room < 0:
            break
        first -= 1
    return tuple(placed[first:end])


def _between_silences(notes: Iterable[Placed]) -> Iterator[list[Placed]]:
    """Notes in groups with at most MOST_EMPTY empty bars between two of them."""
    group: list[Placed] = []
    for note in notes:
        if group and note.bar - group[-1].bar - 1 > MOST_EMPTY:
            yield group
            group = []
        group.append(note)
    if group:
        yield group
