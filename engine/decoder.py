"""Answers notes with notes.

Knows the session's notes, the window over them, the cache, the grammar and the sampler, and puts
them together; knows no sockets and no clocks. It works in steps of a few milliseconds, one chunk of
a prompt or one token each, so that a server can look at its socket between two of them.

The law that everything here serves: an answer depends on the notes, the meters and the request
alone. Whatever was told and taken back before, whatever the cache holds, whether the answer was
drafted five times or once, the notes are the same as from an empty cache. Equal means equal up to
the rounding of the backend: feeding a token alone or within a chunk gives logits that differ by
some 1e-6, and only where two candidates lie closer than that to the drawn number can the choice
differ.
"""

from dataclasses import replace

from engine.cache import CHUNK_TOKENS, Backend, TokenCache
from engine.grammar import Grammar, Kind
from engine.heard import Heard
from engine.native_sampling import best_draw
from engine.protocol import Continue, Note, Prompt
from engine.sampling import Draw, Sampler
from engine.tokens import BAR_TOKENS, NOTE_TOKENS, STEP_TOKENS, Placed, Tokenizer
from engine.window import MOST_EMPTY, Window, window_of
from models.vocabulary import Vocabulary

#: Of the cache, the part that the past may fill; the rest is for the answer.
PAST_SHARE = 5 / 8
#: What the bars up to the answer and its first Position can take.
ENTRY_TOKENS = BAR_TOKENS * (MOST_EMPTY + 1) + STEP_TOKENS
#: From the end of one note to the end of the next: an empty bar, a bar, and the note.
TOKENS_TO_NEXT_NOTE = 2 * BAR_TOKENS + STEP_TOKENS + NOTE_TOKENS
#: With less, the past would be a bar or two.
SMALLEST_CAPACITY = 96


class Decoder:
    """A backend that listens to a session and answers."""

    def __init__(
        self,
        backend: Backend,
        vocabulary: Vocabulary,
        *,
        chunk: int = CHUNK_TOKENS,
        draw: Draw | None = None,
    ) -> None:
        if backend.capacity < SMALLEST_CAPACITY:
            raise ValueError(
                f"a context of {backend.capacity} tokens is too short to answer from; "
                f"take a network with {SMALLEST_CAPACITY} or more"
            )
        self._cache = TokenCache(backend, chunk=chunk)
        self._budget = int(backend.capacity * PAST_SHARE) - 1  # and BOS
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
            window = window_of(heard.sorted, len(heard.sorted), budget=self._budget)
            self._cache.aim(window.spell(heard.tokenizer), for_logits=False)
        self._cache.feed()
        return not self._cache.fed

    def answer(self, request: Continue) -> "Answer":
        """Begin an answer; it ends any other one, since they share the cache."""
        self._stale = True
        heard = self._heard
        entry = heard.tokenizer.grid.place_after(request.from_beat)
        window = window_of(heard.sorted, heard.index_at(entry), budget=self._budget)
        sampler = Sampler(request.controls, request.seed, self._draw)
        return Answer(self._cache, heard.tokenizer, window, request, sampler, budget=self._budget)


class Answer:
    """One answer in the making: call `step` until `finished`."""

    def __init__(
        self,
        cache: TokenCache,
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
        self._grammar = Grammar(
            tokenizer, from_beat=request.from_beat, until_beat=request.until_beat
        )
        self._notes: list[Placed] = list(window.notes)  # the past, then the answer
        self._pitch = self._velocity = 0
        self.tokens_chosen = 0
        prompt = window.spell(tokenizer, last_bar=self._grammar.bar.number)
        prompt.append(tokenizer.vocabulary.positions[self._grammar.step])
        self.prompt_tokens = len(prompt)
        self.cached_tokens = cache.aim(prompt)

    @property
    def finished(self) -> bool:
        """Whether the answer is whole."""
        return self._grammar.finished

    def step(self) -> Note | None:
        """Feed a chunk, or choose one token; the note when this token completes one."""
        if self.finished:
            return None
        logits = self._cache.feed()
        if logits is None:
            return None
        token = self._sampler.choose(logits, self._grammar.allowed())
        self.tokens_chosen += 1
        return self._go_on(token)

    def _go_on(self, token: int) -> Note | None:
        """Take a token and, in the middle of a note or bar, all that can only follow it."""
        kind = self._grammar.take(token)
        note = None
        if kind is Kind.PITCH:
            self._pitch = token
        elif kind is Kind.VELOCITY:
            self._velocity = token
        elif kind is Kind.DURATION:
            note, token = self._end_note(token)
        self._cache.extend(token)
        if note is None:
            self._take_forced()
        elif self._cache.length + TOKENS_TO_NEXT_NOTE > self._cache.capacity:
            self._move_window()
        return note

    def _take_forced(self) -> None:
        """Take the tokens that leave no choice as they come: a Bar's TimeSig above all."""
        grammar = self._grammar
        while not grammar.finished and (token := grammar.only()) is not None:
            grammar.take(token)
            self._cache.extend(token)

    def _end_note(self, duration: int) -> tuple[Note, int]:
        """The note, cut at the end of the answer, and the token that says what will sound.

        The cut note comes back from the player as cut, so the cache should hold it as that.
        """
        bar, step = self._grammar.bar, self._grammar.step
        tokenizer, request = self._tokenizer, self._request
        placed = Placed(bar.number, step, self._pitch, duration, self._velocity)
        note = tokenizer.note_in(bar, placed)
        if note.onset < request.from_beat:
            note = replace(note, onset=request.from_beat)
        if note.end > request.until_beat:
            note = replace(note, duration=request.until_beat - note.onset)
            steps = tokenizer.grid.duration_steps(note.duration, bar)
            duration = tokenizer.vocabulary.duration_token(steps)
            placed = Placed(bar.number, step, self._pitch, duration, self._velocity)
        self._notes.append(placed)
        return note, duration

    def _move_window(self) -> None:
        """The answer outgrew the cache: forget the oldest bars and go on behind the last note."""
        window = window_of(self._notes, len(self._notes), budget=self._budget)
        self._cache.aim(window.spell(self._tokenizer))
