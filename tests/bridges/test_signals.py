"""A stretch in which a signal does not come to a thread."""

import signal
import threading
from collections.abc import Iterator

import pytest

from bridges.signals import undisturbed


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """The signals that this process has heard."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


def send_here(number: signal.Signals) -> None:
    signal.pthread_kill(threading.get_ident(), number)


def test_what_comes_meanwhile_is_heard_afterwards(heard: list[int]) -> None:
    with undisturbed(signal.SIGTERM):
        send_here(signal.SIGTERM)
        assert heard == []
    assert heard == [signal.SIGTERM]


def test_ctrl_c_is_raised_afterwards() -> None:
    with pytest.raises(KeyboardInterrupt), undisturbed(signal.SIGINT):
        send_here(signal.SIGINT)


def test_others_are_heard_at_once(heard: list[int]) -> None:
    with undisturbed(signal.SIGINT):
        send_here(signal.SIGTERM)
        assert heard == [signal.SIGTERM]


def test_a_thread_that_is_started_meanwhile_stays_deaf() -> None:
    blocked: list[set[int]] = []

    def listen() -> None:
        blocked.append({int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())})

    with undisturbed(signal.SIGINT):
        thread = threading.Thread(target=listen)
        thread.start()
    thread.join()
    assert signal.SIGINT in blocked[0]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
