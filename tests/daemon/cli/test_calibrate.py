"""The loop is measured by the stamps of what comes back; time passes only between the notes."""

import queue

import pytest

from daemon.cli.calibrate import Loop, figures_of, found, measure, text_of
from daemon.interface.messages import is_on

NS_PER_MS = 1_000_000


class Clock:
    """A time that passes while somebody sleeps, and at no other time."""

    def __init__(self) -> None:
        self._now_ns = 1_000 * NS_PER_MS

    def monotonic_ns(self) -> int:
        return self._now_ns

    def monotonic(self) -> float:
        return self._now_ns / 1e9

    def sleep(self, s: float) -> None:
        self._now_ns += round(s * 1e9)


class Cable:
    """What is sent comes back `ms` later by its stamp; each `loses`th does not."""

    def __init__(self, clock: Clock, *, ms: float, loses: int = 0) -> None:
        self.heard: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self.sent: list[bytes] = []
        self._clock, self._ms, self._loses = clock, ms, loses

    def send(self, message: bytes) -> None:
        self.sent.append(message)
        strikes = sum(map(is_on, self.sent))
        if self._loses and strikes % self._loses == 0:
            return
        back = bytes((message[0] | 3, *message[1:]))
        self.heard.put((self._clock.monotonic_ns() + round(self._ms * NS_PER_MS), back))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """With little patience: what is lost is waited for in real time."""
    clock = Clock()
    monkeypatch.setattr("daemon.cli.calibrate.time", clock)
    monkeypatch.setattr("daemon.cli.calibrate.PATIENCE_NS", 20 * NS_PER_MS)
    monkeypatch.setattr("daemon.cli.calibrate.KNOCK_S", 0.01)
    return clock


def test_a_loop_has_its_length_and_what_was_lost(clock: Clock) -> None:
    cable = Cable(clock, ms=7, loses=4)
    loop = measure(cable.send, cable.heard, notes=8)
    figures = figures_of(loop, input_share=0.5)
    assert (figures["notes"], figures["lost"]) == (8, 2)
    assert loop.median_ms == 7
    assert (figures["input_latency_ms"], figures["output_latency_ms"]) == (3.5, 3.5)


def test_every_note_is_released(clock: Clock) -> None:
    cable = Cable(clock, ms=1, loses=3)
    measure(cable.send, cable.heard, notes=5)
    strikes = [message[1] for message in cable.sent if is_on(message)]
    assert strikes == [message[1] for message in cable.sent if not is_on(message)]
    assert len(strikes) == 5


def test_what_somebody_plays_meanwhile_is_not_taken_for_it(clock: Clock) -> None:
    cable = Cable(clock, ms=5)
    cable.heard.put((clock.monotonic_ns(), b"\x90\x30\x50"))  # the same key, but before
    cable.heard.put((clock.monotonic_ns() + 40 * NS_PER_MS, b"\x90\x60\x50"))
    assert measure(cable.send, cable.heard, notes=1).median_ms == 5


def test_it_waits_for_a_cable_and_says_so_once(clock: Clock) -> None:
    silent, said = Cable(clock, ms=1, loses=1), []
    assert not found(silent.send, silent.heard, wait_s=0.05, say=lambda: said.append("waiting"))
    assert said == ["waiting"]
    cable = Cable(clock, ms=1)
    assert found(cable.send, cable.heard, wait_s=0, say=lambda: said.append("again"))
    assert said == ["waiting"]


@pytest.mark.parametrize(
    ("share", "input_ms", "output_ms"), [(0.5, 6.2, 6.2), (1.0, 12.3, 0.0), (0.0, 0.0, 12.3)]
)
def test_the_sum_is_split_as_asked(share: float, input_ms: float, output_ms: float) -> None:
    figures = figures_of(Loop(3, (11.0, 12.3, 14.0)), input_share=share)
    assert figures["input_latency_ms"] == pytest.approx(input_ms, abs=0.06)
    assert figures["output_latency_ms"] == pytest.approx(output_ms, abs=0.06)
    text = text_of(figures)
    assert f"input_latency_ms = {figures['input_latency_ms']}" in text
    assert "12.30 ms (half of them), from 11.00 to 14.00 ms" in text
