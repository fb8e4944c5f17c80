"""What the mind does with each message, and what it does meanwhile.

Knows the protocol and the decoder; knows no sockets, processes or files. Messages go in by
`handle`, one piece of work at a time is done by `work`, and both return what is to be sent. A newer
`Continue` supersedes the answer in the making; each `Continue` is followed by exactly one
`Finished`. Between answers `work` feeds what was played, so that the next answer begins at once.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from engine.answer import Answer
from engine.decoder import Decoder
from engine.protocol import (
    Cancel,
    Continue,
    Controls,
    Drafted,
    Finished,
    FromMind,
    Note,
    Ping,
    Pong,
    Prompt,
    Ready,
    Refused,
    ToMind,
)

#: Feeding and answering this once leaves nothing to be set up by the first real answer.
WARM_UP = Prompt(
    tuple((beat, Note(float(beat), 48 + beat % 24, 1.0, 64)) for beat in range(32)), (), ()
)
WARM_UP_TOKENS = 24


class Service:
    """One mind and its one player."""

    def __init__(
        self, decoder: Decoder, ready: Ready, *, now_s: Callable[[], float] = perf_counter
    ) -> None:
        self._decoder = decoder
        self._ready = ready
        self._now_s = now_s
        self._draft: _Draft | None = None
        self._to_feed = False

    @property
    def busy(self) -> bool:
        """Whether `work` has something to do."""
        return self._draft is not None or self._to_feed

    def warm_up(self) -> None:
        """Answer once for nobody, and forget it."""
        self._decoder.apply(WARM_UP)
        while self._decoder.feed():
            pass
        answer = self._decoder.answer(Continue(0, 32.0, 64.0, Controls(), 0))
        while answer.tokens_chosen < WARM_UP_TOKENS and not answer.finished:
            answer.step()
        self._forget()

    def greet(self) -> list[FromMind]:
        """Forget the player before; a new one has come and is told who answers."""
        self._forget()
        return [self._ready]

    def handle(self, message: ToMind | FromMind) -> list[FromMind]:
        """Take a message."""
        match message:
            case Ping(number):
                return [Pong(number)]
            case Prompt():
                self._decoder.apply(message)
                self._to_feed = True
                return []
            case Continue():
                superseded = self._stop()
                self._draft = _Draft(self._decoder.answer(message), message.epoch, self._now_s())
                return superseded
            case Cancel(epoch):
                drafts_it = self._draft is not None and self._draft.epoch == epoch
                return self._stop() if drafts_it else []
            case _:
                return [Refused(f"{type(message).__name__} is for the mind to say, not to hear")]

    def work(self) -> list[FromMind]:
        """Do one piece of work, some milliseconds long."""
        draft = self._draft
        if draft is None:
            self._to_feed = self._to_feed and self._decoder.feed()
            return []
        said: list[FromMind] = []
        note = draft.step(self._now_s)
        if note is not None:
            said.append(Drafted(draft.epoch, note))
        if draft.answer.finished:
            self._end()
            said.append(draft.finished(cancelled=False))
        return said

    def _forget(self) -> None:
        self._draft = None
        self._to_feed = False
        self._decoder.apply(Prompt((), (), (), reset=True))

    def _stop(self) -> list[FromMind]:
        draft = self._draft
        if draft is None:
            return []
        self._end()
        return [draft.finished(cancelled=True)]

    def _end(self) -> None:
        self._draft = None
        self._to_feed = True  # what came while it was drafted


class _Draft:
    """An answer in the making, and the time that it takes."""

    def __init__(self, answer: Answer[Any], epoch: int, begun_s: float) -> None:
        self.answer = answer
        self.epoch = epoch
        self._last_note_s = begun_s
        self._token_ms: list[float] = []
        self._note_ms: list[float] = []

    def step(self, now_s: Callable[[], float]) -> Note | None:
        """Go on by a chunk of the prompt, or to the next note, or to the end.

        Each token's time is taken; the first note's counts from the request.
        """
        answer, note = self.answer, None
        ended_s = now_s()
        while note is None and not answer.finished:
            begun_s, chosen = ended_s, answer.tokens_chosen
            note = answer.step()
            ended_s = now_s()
            if answer.tokens_chosen == chosen:
                return None
            self._token_ms.append((ended_s - begun_s) * 1e3)
        if note is not None:
            self._note_ms.append((ended_s - self._last_note_s) * 1e3)
            self._last_note_s = ended_s
        return note

    def finished(self, *, cancelled: bool) -> Finished:
        """What it cost."""
        return Finished(
            self.epoch,
            cancelled,
            self.answer.prompt_tokens,
            self.answer.cached_tokens,
            tuple(self._token_ms),
            tuple(self._note_ms),
        )
