"""How the player process starts its mind: a child of its own, or one at an address."""

from collections.abc import Callable
from pathlib import Path

from daemon.takes import segue_command
from engine.client import MindClient
from engine.protocol import FromMind


def start_mind(
    receive: Callable[[FromMind], None],
    *,
    checkpoint: str | None = None,
    address: str | None = None,
    keys: str | None = None,
) -> MindClient:
    """Return a client, not yet opened. With an `address` nothing is started here."""
    command = [*segue_command(), "engine"]
    if checkpoint is not None:
        command += ["--checkpoint", checkpoint]
    return MindClient(
        receive=receive,
        address=address,
        command=None if address else command,
        keys=Path(keys) if keys else None,
    )
