"""How the player process comes by its mind: a child of its own, or one at an address."""

from collections.abc import Callable
from pathlib import Path

from daemon.interface.config import MindConfig
from engine.child import mind_command
from engine.client import MindClient
from engine.protocol import FromMind


def mind_of(config: MindConfig, receive: Callable[[FromMind], None]) -> MindClient:
    """Return a client, not yet opened. With an address nothing is started on this machine."""
    options = ["--checkpoint", config.checkpoint] if config.checkpoint else []
    return MindClient(
        receive=receive,
        address=config.address,
        command=mind_command(*options),
        keys=Path(config.keys) if config.keys else None,
    )
