"""The daemon whole: journal, mind and runtime, in the order in which they start and stop.

`segue run` puts it into the world of MIDI ports and remote control, `segue demo` into a loopback.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TypeAlias

from daemon.interface.config import Config
from daemon.interface.events import Effect
from daemon.runtime.mind import MindNews, mind_of
from daemon.runtime.runtime import Outlets, Runtime
from daemon.take.journal import JournalWriter
from engine.protocol import FromMind, Ready


@dataclass(frozen=True, slots=True)
class World:
    """What the daemon plays and speaks into. Neither may block."""

    send: Callable[[bytes], object]
    publish: Callable[[Effect], None]


#: Opens the world around a runtime, and closes it again.
OpenWorld: TypeAlias = Callable[[Runtime], AbstractContextManager[World]]


class Live:
    """One life of the daemon."""

    def __init__(self, config: Config, *, journal: Path, say: Callable[[str], None]) -> None:
        self.mind_ready = Event()
        self._config = config
        self._say = say
        self._news = MindNews()
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        session = config.played
        self._journal = JournalWriter(journal, session=session, started=started, trouble=say)
        self.runtime = Runtime(session, journal=self._journal)

    def run(self, open_world: OpenWorld, *, started: Callable[[], None]) -> None:
        """Live until the runtime is stopped. `started` is called when the ports are open.

        The mind is started first, since it takes the longest; nothing waits for it.
        """
        with (
            self._journal,
            mind_of(self._config.mind, self._heard_mind) as mind,
            open_world(self.runtime) as world,
        ):
            outlets = Outlets(send=world.send, tell=mind.send, publish=world.publish)
            self.runtime.run(outlets, started=started)

    def _heard_mind(self, value: FromMind) -> None:
        if (line := self._news.of(value)) is not None:
            self._say(line)
        if isinstance(value, Ready):
            self.mind_ready.set()
        self.runtime.heard_mind(value)
