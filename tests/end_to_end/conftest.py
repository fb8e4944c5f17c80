"""What the tests of this folder share: a tiny mind, and processes that end with their module.

The tests import the rest by name: `from stage import Segue, tune`.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stage import Musician, Segue

from tests.conftest import JackServer


@contextmanager
def default_jack_server(
    name: str, folder: Path, *, patience_ms: int | None
) -> Iterator[JackServer]:
    """A JACK server that is the default one for this process and its children."""
    full_name = f"segue-test-{os.getpid()}-{name}"
    server = JackServer(full_name, folder / "jackd.log", patience_ms=patience_ms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JACK_DEFAULT_SERVER", server.name)
        patch.setenv("JACK_NO_START_SERVER", "1")
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def jack_server(
    need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JackServer]:
    """A server of this folder's own: whoever is late for a period loses nothing."""
    need("jackd", "jack_lsp", "jack_connect")
    folder = tmp_path_factory.mktemp("jack")
    with default_jack_server("stage", folder, patience_ms=100) as server:
        yield server


@pytest.fixture(scope="module")
def brisk_jack_server(
    need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JackServer]:
    """A server as it is started by everybody: it soon lets go of a client that was killed."""
    need("jackd", "jack_lsp", "jack_connect")
    folder = tmp_path_factory.mktemp("jack")
    with default_jack_server("brisk", folder, patience_ms=None) as server:
        yield server


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows nothing: its notes are random, on the grid, and cost little.

    One thing is sure of them: there are some in each bar.
    """
    return random_checkpoint(tmp_path_factory.mktemp("mind") / "tiny.safetensors", layers=1)


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that takes some milliseconds for each token: many thin layers, one after the other."""
    return random_checkpoint(tmp_path_factory.mktemp("mind") / "slow.safetensors", layers=192)


def random_checkpoint(path: Path, *, layers: int) -> Path:
    """Write a network as it is before it has learned anything, but that it is loath to go on to the
    next bar: as if of all that may follow, this were a thousand times less likely.
    """
    import torch

    from models.checkpoint import Checkpoint, save_checkpoint
    from models.network import Network, NetworkConfig
    from models.vocabulary import standard_vocabulary

    torch.manual_seed(1)
    words = standard_vocabulary()
    shape = NetworkConfig(
        vocabulary=len(words), layers=layers, width=64, heads=2, ffn=96, context=512
    )
    network = Network(shape)
    with torch.no_grad():  # the embedding is the output, too, and one of its numbers can be a bias
        network.embedding.weight[:, 0] = 1.0
        network.embedding.weight[words.bar, 0] = 0.1
    save_checkpoint(path, Checkpoint(network, words, {}))
    return path


@pytest.fixture(scope="module")
def segue(jack_server: object, tiny: Path) -> Iterator[Callable[..., Segue]]:
    """`segue("--bars", "1", takes=folder)` starts one at this session's JACK server."""
    with ExitStack() as stack:

        def start(*options: str, takes: Path) -> Segue:
            started = Segue("--api", "jack", *options, takes=takes, checkpoint=tiny)
            stack.callback(started.leave)
            started.await_line("ready: ")
            return started

        yield start


@pytest.fixture(scope="module")
def musician(jack_server: object) -> Iterator[Callable[..., Musician]]:
    """`musician("keys", segue)` starts one, wired to Segue if one is named."""
    with ExitStack() as stack:

        def start(name: str, wired_to: Segue | None = None) -> Musician:
            started = Musician(name)
            stack.callback(started.leave)
            if wired_to is not None:
                started.wire(wired_to)
            return started

        yield start
