"""An answer by a network that takes a note at a time: row by row, each field masked.

Knows the grammar of rows, the sampler, the chain that says a row and what is worn out; what it
shares with other answers is in engine/answer.py.
"""

from engine.answer import Answer
from engine.cache import Logits, TokenCache
from engine.note_grammar import ANY_FORCE, ANY_LENGTH, NoteGrammar
from engine.protocol import Continue, Note
from engine.rows import NoteBackend, Row, Rows
from engine.sampling import Sampler
from engine.tokens import Placed, Tokenizer
from engine.wear import Wear
from engine.window import Costs, Window

#: How much of the temperature keys are chosen with. Which note comes is where people repeat
#: themselves to the letter, and where a stray one is heard; when and how long is not.
KEY_WARMTH = 0.7


class NoteAnswer(Answer[Row]):
    """Steps are rows, and a choice is a whole one: a note, a rest, or that it ends here."""

    costs = Costs(bar=0, empty_bar=1, step=0, note=1)
    smallest_capacity = 32
    room = 2  # a rest, and the note

    def __init__(
        self,
        cache: TokenCache[Row],
        tokenizer: Tokenizer,
        window: Window,
        request: Continue,
        sampler: Sampler,
        *,
        budget: int,
    ) -> None:
        assert isinstance(cache.backend, NoteBackend)
        self._chain: NoteBackend = cache.backend
        self._grammar = NoteGrammar(
            tokenizer, from_beat=request.from_beat, until_beat=request.until_beat
        )
        self._entered = False
        words = tokenizer.vocabulary
        self._first = words.pitches.start, words.durations.start, words.velocities.start
        super().__init__(cache, tokenizer, window, request, sampler, budget=budget)

    @staticmethod
    def spell(window: Window, tokenizer: Tokenizer) -> list[Row]:
        """START and the window's rows."""
        return _written(window, tokenizer, 0).rows

    @property
    def finished(self) -> bool:
        """Whether the answer is whole."""
        return self._grammar.finished

    def _enter(self, window: Window) -> list[Row]:
        """As far as the last rest before the first note."""
        bar = self._grammar.bar.number
        rows = _written(window, self._tokenizer, bar)
        rows.lead_to(bar)
        return self._begin(rows)

    def _resume(self, window: Window) -> list[Row]:
        return self._begin(_written(window, self._tokenizer, 0))

    def _begin(self, rows: Rows) -> list[Row]:
        """Go on behind these rows."""
        self._rows, self._wear = rows, Wear(rows.rows)
        return rows.rows

    def _choose(self, logits: Logits) -> Note | None:
        grammar = self._grammar
        if self._entered:
            grammar.take_onset(self._sampler.choose(logits, grammar.onsets()))
            if grammar.finished:
                return None
            if grammar.rested:
                self._add(self._rows.rest(1))
                return None
        self._entered = True
        return self._say_note()

    def _say_note(self) -> Note:
        """Go along the chain."""
        grammar, chain, choose = self._grammar, self._chain, self._sampler.choose
        bar, (first_pitch, first_duration, first_velocity) = grammar.bar, self._first
        where = self._rows.where(bar.number, grammar.step)
        keys = chain.say_where(where)
        for worn, nats in self._wear.of(where.time).items():
            keys[worn] -= nats
        key = choose(keys, grammar.keys(), warmth=KEY_WARMTH)
        grammar.take_key(key)
        length = choose(chain.say_key(key), ANY_LENGTH)
        force = choose(chain.say_length(length), ANY_FORCE)
        said = Placed(
            bar.number,
            grammar.step,
            first_pitch + key,
            first_duration + length,
            first_velocity + force,
        )
        note, placed = self._sound(bar, said)
        self._add(self._rows.write(where, key, placed.duration - first_duration, force))
        self._make_room()
        return note

    def _add(self, row: Row) -> None:
        self._cache.extend(row)
        self._wear.hear(row)


def _written(window: Window, tokenizer: Tokenizer, entry_bar: int) -> Rows:
    """The window's rows; `entry_bar` is where music begins that has no past."""
    first_bar = window.notes[0].bar if window.notes else entry_bar
    rows = Rows(tokenizer, first_bar=first_bar)
    rows.spell(window.notes)
    return rows
