"""An answer by a network of tokens: token by token, masked.

Knows the grammar, the sampler and what a token completes; what it shares with other answers is in
engine/answer.py.
"""

from engine.answer import Answer
from engine.cache import Logits, TokenCache
from engine.grammar import Grammar, Kind
from engine.protocol import Continue, Note
from engine.sampling import Sampler
from engine.tokens import BAR_TOKENS, NOTE_TOKENS, STEP_TOKENS, Placed, Tokenizer
from engine.window import IN_TOKENS, Window


class TokenAnswer(Answer[int]):
    """Steps are tokens."""

    costs = IN_TOKENS
    smallest_capacity = 96
    room = 2 * BAR_TOKENS + STEP_TOKENS + NOTE_TOKENS  # an empty bar, a bar, and the note

    def __init__(
        self,
        cache: TokenCache[int],
        tokenizer: Tokenizer,
        window: Window,
        request: Continue,
        sampler: Sampler,
        *,
        budget: int,
    ) -> None:
        self._grammar = Grammar(
            tokenizer, from_beat=request.from_beat, until_beat=request.until_beat
        )
        self._pitch = self._velocity = 0
        super().__init__(cache, tokenizer, window, request, sampler, budget=budget)

    @staticmethod
    def spell(window: Window, tokenizer: Tokenizer) -> list[int]:
        """BOS and the window's tokens."""
        return window.spell(tokenizer)

    @property
    def finished(self) -> bool:
        """Whether the answer is whole."""
        return self._grammar.finished

    def _enter(self, window: Window) -> list[int]:
        """As far as the Position of the first beat."""
        tokens = window.spell(self._tokenizer, last_bar=self._grammar.bar.number)
        return [*tokens, self._tokenizer.vocabulary.positions[self._grammar.step]]

    def _resume(self, window: Window) -> list[int]:
        return window.spell(self._tokenizer)

    def _choose(self, logits: Logits) -> Note | None:
        """Choose a token and, in the middle of a note or bar, all that can only follow it."""
        token = self._sampler.choose(logits, self._grammar.allowed())
        kind = self._grammar.take(token)
        note = None
        if kind is Kind.PITCH:
            self._pitch = token
        elif kind is Kind.VELOCITY:
            self._velocity = token
        elif kind is Kind.DURATION:
            bar, step = self._grammar.bar, self._grammar.step
            placed = Placed(bar.number, step, self._pitch, token, self._velocity)
            note, placed = self._sound(bar, placed)
            token = placed.duration
        self._cache.extend(token)
        if note is None:
            self._take_forced()
        else:
            self._make_room()
        return note

    def _take_forced(self) -> None:
        """Take the tokens that leave no choice as they come: a Bar's TimeSig above all."""
        grammar = self._grammar
        while not grammar.finished and (token := grammar.only()) is not None:
            grammar.take(token)
            self._cache.extend(token)
