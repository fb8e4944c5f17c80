"""How the player process comes by its mind, and what it tells of the mind's fate.

The mind is a child of our own, or one at an address.
"""

import signal
from collections.abc import Callable
from pathlib import Path

from bridges.signals import undisturbed
from daemon.interface.config import MindConfig
from engine.child import mind_command
from engine.client import MindClient
from engine.protocol import FromMind, Lost, Ready, Refused

#: How a mind that was started wrongly begins its last line.
MIND_SAYS = "segue engine: "


class Mind(MindClient):
    """A client whose mind never hears Ctrl-C.

    A terminal sends it to both processes. The mind is deaf to it once it lives, but its first
    moments would end with it, and the player needs its mind while it stops.
    """

    def open(self) -> None:
        """Start the thread, and with it the mind; returns at once. Raises KeysError."""
        try:
            with undisturbed(signal.SIGINT):
                super().open()
        except KeyboardInterrupt:  # it came meanwhile, and nobody else would close it
            self.close()
            raise


def mind_of(config: MindConfig, receive: Callable[[FromMind], None]) -> Mind:
    """Return a client, not yet opened. With an address nothing is started on this machine."""
    options = ["--checkpoint", config.checkpoint] if config.checkpoint else []
    return Mind(
        receive=receive,
        address=config.address,
        command=mind_command(*options),
        keys=Path(config.keys) if config.keys else None,
    )


def in_short(reason: str) -> str:
    """Why a mind was lost, in its own words if it was started wrongly: they name the fix."""
    return reason.rpartition(MIND_SAYS)[2]


class MindNews:
    """What the person at the terminal is told of the mind: a reason for its loss only once."""

    def __init__(self) -> None:
        self._lost_for: str | None = None

    def of(self, value: FromMind) -> str | None:
        """One line, or None where there is nothing new to tell."""
        match value:
            case Ready(model, parameters):
                self._lost_for = None
                return f"the mind is ready: {model}, {parameters / 1e6:.1f}M parameters"
            case Lost(reason) if reason != self._lost_for:
                self._lost_for = reason
                return (
                    f"the mind was lost ({in_short(reason)}); the stand-in plays until it is back"
                )
            case Refused(reason):
                return f"the mind refused a message: {reason}"
        return None
