"""Answers notes with notes.

Knows the session's notes, the window over them, the cache and the kinds of answers, and puts them
together; knows no sockets and no clocks. It works in steps of a few milliseconds, one chunk of a
prompt or one token or note each, so that a server can look at its socket between two of them.

The law that everything here serves: an answer depends on the notes, the meters and the request
alone. Whatever was told and taken back before, whatever the cache holds, whether the answer was
drafted five times or once, the notes are the same as from an empty cache. Equal means equal up to
the rounding of the backend: feeding a token alone or within a chunk gives logits that differ by
some 1e-6, and only where two candidates lie closer than that to the drawn number can the choice
differ.
"""

from typing import Any

from engine.answer import Answer
from engine.cache import CHUNK_TOKENS, TokenCache
from engine.heard import Heard
from engine.native_sampling import best_draw
from engine.note_answer import NoteAnswer
from engine.protocol import Continue, Prompt
from engine.rows import AnyBackend, NoteBackend
from engine.sampling import Draw, Sampler
from engine.token_answer import TokenAnswer
from engine.window import Window, window_of
from models.vocabulary import Vocabulary

#: Of the cache, the part that the past may fill; the rest is for the answer.
PAST_SHARE = 5 / 8


class Decoder:
    """A backend that listens to a session and answers, in the way of its kind of network."""

    def __init__(
        self,
        backend: AnyBackend,
        vocabulary: Vocabulary,
        *,
        chunk: int = CHUNK_TOKENS,
        draw: Draw | None = None,
    ) -> None:
        takes_notes = isinstance(backend, NoteBackend)
        self._kind: type[Answer[Any]] = NoteAnswer if takes_notes else TokenAnswer
        if backend.capacity < self._kind.smallest_capacity:
            raise ValueError(
                f"a context of {backend.capacity} is too short to answer from; "
                f"take a network with {self._kind.smallest_capacity} or more"
            )
        self._cache: TokenCache[Any] = TokenCache(backend, chunk=chunk)
        self._budget = int(backend.capacity * PAST_SHARE) - 1  # and what opens the music
        self._heard = Heard(vocabulary, most=backend.capacity)
        self._draw = draw or best_draw()
        self._stale = True

    def apply(self, prompt: Prompt) -> None:
        """Take what changed in what was played. Cheap; the feeding is left to `feed`."""
        self._heard.apply(prompt)
        self._stale = True

    def feed(self) -> bool:
        """Feed a chunk of what was played, between answers; False when nothing is left."""
        heard = self._heard
        if self._stale:
            self._stale = False
            window = self._window(len(heard.sorted))
            self._cache.aim(self._kind.spell(window, heard.tokenizer), for_logits=False)
        self._cache.feed()
        return not self._cache.fed

    def answer(self, request: Continue) -> Answer[Any]:
        """Begin an answer; it ends any other one, since they share the cache."""
        self._stale = True
        heard = self._heard
        entry = heard.tokenizer.grid.place_after(request.from_beat)
        window = self._window(heard.index_at(entry))
        sampler = Sampler(request.controls, request.seed, self._draw)
        return self._kind(
            self._cache, heard.tokenizer, window, request, sampler, budget=self._budget
        )

    def _window(self, end: int) -> Window:
        """What the model sees of the first `end` notes."""
        heard, costs = self._heard, self._kind.costs
        return window_of(heard.sorted, end, budget=self._budget, costs=costs)
