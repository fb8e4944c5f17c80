"""A mind that is never left alone: it decodes as long as it is open, beside what is measured."""

from typing import Self

from daemon.interface.config import MindConfig
from daemon.runtime.mind import mind_of
from engine.protocol import (
    Continue,
    Controls,
    Finished,
    FromMind,
    Meter,
    Note,
    Prompt,
    Ready,
)

#: What it goes on from: two bars of a scale, so that what it writes is music of some density.
PROMPT = tuple((number, Note(number / 2, 60 + number % 12, 0.5, 80)) for number in range(16))
FROM_BEAT, UNTIL_BEAT = 8.0, 40.0


class RestlessMind:
    """Asks its own mind for one answer after the other; `tokens` is how many it has written."""

    def __init__(self, config: MindConfig) -> None:
        self.tokens = 0
        self._epoch = 0
        self._mind = mind_of(config, self._heard)

    def __enter__(self) -> Self:
        self._mind.open()
        return self

    def __exit__(self, *error: object) -> None:
        self._mind.close()

    def _heard(self, value: FromMind) -> None:
        match value:
            case Ready():
                self._mind.send(Prompt(PROMPT, (), (Meter(0.0, 4, 4),), reset=True))
                self._ask()
            case Finished():
                self.tokens += len(value.token_ms)
                self._ask()

    def _ask(self) -> None:
        self._epoch += 1
        self._mind.send(Continue(self._epoch, FROM_BEAT, UNTIL_BEAT, Controls(), self._epoch))
