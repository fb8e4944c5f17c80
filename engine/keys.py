"""CURVE keys for a mind on another machine, and which addresses need them.

Knows key files and addresses; opens no sockets. A folder holds the pair of the mind and the pair of
its players. The machine of the mind needs `mind.key_secret` and `player.key`, the player's needs
`player.key_secret` and `mind.key`; who holds neither secret is not heard.
"""

import ipaddress
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import zmq
import zmq.auth

MIND, PLAYER = "mind", "player"


class PlayerKeys(NamedTuple):
    """The player's own pair, and the only mind that it believes."""

    public: bytes
    secret: bytes
    mind: bytes


class KeysError(Exception):
    """Keys that are missing, damaged or in the way; the text names the fix."""


def needs_keys(address: str) -> bool:
    """Whether an address can be reached from beyond this machine."""
    parts = urlsplit(address)
    if parts.scheme != "tcp":
        return parts.scheme not in {"ipc", "inproc"}
    host = parts.hostname or ""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True  # a name, an interface, or * for all of them


def make_keys(folder: Path) -> None:
    """Write both pairs into a folder that only its owner can read; never over older ones."""
    taken = [path for name in (MIND, PLAYER) for path in folder.glob(f"{name}.key*")]
    if taken:
        raise KeysError(f"{taken[0]} is there already; name another folder or remove it first")
    before = os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (MIND, PLAYER):
            zmq.auth.create_certificates(folder, name)
    except OSError as error:
        raise KeysError(f"cannot write keys to {folder}: {error}") from error
    finally:
        os.umask(before)


def be_mind(socket: "zmq.Socket[bytes]", folder: Path) -> None:
    """Give a socket the mind's own pair; who may speak to it is for an authenticator to say."""
    _read(folder, f"{PLAYER}.key")  # so that its absence is said now, not by silence later
    socket.curve_publickey, socket.curve_secretkey = _read_pair(folder, MIND)
    socket.curve_server = True


def player_keys(folder: Path) -> PlayerKeys:
    """What a player's socket needs."""
    return PlayerKeys(*_read_pair(folder, PLAYER), _read(folder, f"{MIND}.key")[0])


def _read_pair(folder: Path, name: str) -> tuple[bytes, bytes]:
    public, secret = _read(folder, f"{name}.key_secret")
    if secret is None:
        raise KeysError(f"{folder / name}.key_secret holds no secret key; make new keys")
    return public, secret


def _read(folder: Path, name: str) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(folder / name)
    except (OSError, ValueError) as error:
        raise KeysError(
            f"there is no usable {name} in {folder} ({error}); "
            "make a folder with `segue engine --make-keys DIR` and copy it to both machines"
        ) from error
