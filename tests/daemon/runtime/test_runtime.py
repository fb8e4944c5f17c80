"""The daemon's own threads, in real time: short pieces at a fast tempo, with deadlines."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from musicians import is_on

from daemon import __version__
from daemon.interface.commands import CommandError
from daemon.interface.config import Config, PortsConfig, SessionConfig, Settings
from daemon.interface.events import Effect, StateChanged
from daemon.runtime.output import NEAR_NS, OutputThread
from daemon.runtime.runtime import Outlets, Runtime
from daemon.take.journal import JournalWriter, Sent, read_journal
from daemon.take.take import differences, take_of
from engine.protocol import Continue, Prompt, Ready, ToMind

NS_PER_MS = 1_000_000
AN_HOUR_NS = 3_600_000 * NS_PER_MS
C_ON, C_OFF, E_ON = b"\x90\x3c\x50", b"\x80\x3c\x00", b"\x90\x40\x50"

Eventually = Callable[..., None]


class Wire:
    """What left, and when."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.sent: list[Sent] = []

    def output(self) -> OutputThread:
        return OutputThread(send=self.messages.append, sent=self.sent.append)


def test_messages_leave_in_order_and_never_early(eventually: Eventually) -> None:
    wire = Wire()
    output = wire.output()
    now_ns = time.monotonic_ns()
    output.plan(now_ns + 30 * NS_PER_MS, C_OFF)
    output.plan(now_ns + 10 * NS_PER_MS, C_ON)
    output.open()
    eventually(lambda: len(wire.sent) == 2)
    output.plan(time.monotonic_ns() - NS_PER_MS, E_ON)
    eventually(lambda: len(wire.sent) == 3, "what is late leaves at once")
    output.close()
    assert wire.messages == [C_ON, C_OFF, E_ON, b"\x80\x40\x00"]
    assert all(sent.sent_ns >= sent.due_ns for sent in wire.sent[:3])


def test_a_nearer_message_does_not_wait_for_a_farther_one(eventually: Eventually) -> None:
    wire = Wire()
    output = wire.output()
    output.open()
    output.plan(time.monotonic_ns() + AN_HOUR_NS, C_ON)
    output.plan(time.monotonic_ns() + 5 * NS_PER_MS, E_ON)
    eventually(lambda: wire.messages == [E_ON])
    output.close()
    assert wire.messages == [E_ON, b"\x80\x40\x00"]


def test_release_all_is_at_once_and_forgets_what_was_planned(eventually: Eventually) -> None:
    wire = Wire()
    output = wire.output()
    output.open()
    output.plan(0, C_ON)
    eventually(lambda: wire.messages == [C_ON])
    due_ns = time.monotonic_ns() + 500 * NS_PER_MS
    output.plan(due_ns, E_ON)
    output.release_all()
    assert wire.messages == [C_ON, C_OFF]
    output.plan(due_ns + NS_PER_MS, C_ON)
    eventually(lambda: wire.messages == [C_ON, C_OFF, C_ON], "and no other note before")
    output.close()


def test_an_output_that_was_never_opened_can_be_closed() -> None:
    wire = Wire()
    output = wire.output()
    output.plan(0, C_ON)
    output.close()
    assert wire.messages == []


def test_who_has_work_to_do_gives_way_to_what_is_about_to_leave() -> None:
    wire = Wire()
    output = wire.output()
    output.plan(time.monotonic_ns() + AN_HOUR_NS, C_ON)
    began_ns = time.monotonic_ns()
    output.give_way()
    assert time.monotonic_ns() - began_ns < 5_000 * NS_PER_MS, "there is time enough"
    due_ns = time.monotonic_ns() + NEAR_NS // 2
    output.plan(due_ns, E_ON)
    output.give_way()
    assert time.monotonic_ns() >= due_ns
    output.close()


def test_what_sounds_late_leaves_early(eventually: Eventually) -> None:
    wire = Wire()
    left_ns: list[int] = []
    output = OutputThread(
        send=lambda _: left_ns.append(time.monotonic_ns()),
        sent=wire.sent.append,
        latency_ns=AN_HOUR_NS,
    )
    output.open()
    due_ns = time.monotonic_ns() + AN_HOUR_NS + 20 * NS_PER_MS
    output.plan(due_ns, C_ON)
    eventually(lambda: wire.sent)
    output.close()
    assert due_ns - AN_HOUR_NS <= left_ns[0] < due_ns
    assert wire.sent[0].due_ns == due_ns <= wire.sent[0].sent_ns


class Daemon:
    """A runtime that lives in a thread; two beats at 200 bpm to a bar, one bar each."""

    config = SessionConfig(settings=Settings(bars=1, bpm=200.0), meter=(2, 4), clock="internal")

    def __init__(self, path: Path, ports: PortsConfig | None = None) -> None:
        self.path = path
        self.config = Config(session=self.config, ports=ports or PortsConfig()).played
        self.messages: list[bytes] = []
        self.left_ns: list[int] = []
        self.told: list[ToMind] = []
        self.published: list[Effect] = []
        self.started = threading.Event()
        self._journal = JournalWriter(
            path, session=self.config, started="now", trouble=self._no_trouble
        )
        self.runtime = Runtime(self.config, journal=self._journal)

    @contextmanager
    def living(self) -> Iterator["Daemon"]:
        outlets = Outlets(send=self.hear, tell=self.told.append, publish=self.published.append)
        thread = threading.Thread(
            target=lambda: self.runtime.run(outlets, started=self.started.set)
        )
        with self._journal:
            thread.start()
            try:
                assert self.started.wait(5)
                yield self
            finally:
                self.runtime.stop()
                thread.join(5)
                assert not thread.is_alive()

    def hear(self, message: bytes) -> None:
        self.left_ns.append(time.monotonic_ns())
        self.messages.append(message)

    def play(self, *messages: bytes) -> None:
        for message in messages:
            self.runtime.receive_midi(time.monotonic_ns(), message)

    @staticmethod
    def _no_trouble(text: str) -> None:
        raise AssertionError(text)


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path / "take.journal")


def test_a_bar_is_answered_in_real_time_and_the_journal_replays(
    daemon: Daemon, eventually: Eventually
) -> None:
    with daemon.living():
        daemon.play(C_ON, C_OFF)
        eventually(lambda: sum(map(is_on, daemon.messages)) >= 2, "the stand-in answers")
    journal = read_journal(daemon.path)
    assert journal.complete
    assert differences(journal) == []
    first = next(sent for sent in journal.sent if is_on(sent.message))
    assert first.due_ns == take_of(journal).handovers[0].due_ns
    assert first.sent_ns >= first.due_ns
    assert [sent.message for sent in journal.sent] == daemon.messages
    sounding: set[int] = set()
    for message in daemon.messages:
        (sounding.add if is_on(message) else sounding.discard)(message[1])
    assert not sounding, "stopped in the middle of the answer"


def test_behind_slow_ports_the_music_is_where_it_is_played_and_heard(
    tmp_path: Path, eventually: Eventually
) -> None:
    daemon = Daemon(tmp_path / "take.journal", PortsConfig(None, None, None, 20, 60))
    with daemon.living():
        arrived_ns = time.monotonic_ns()
        daemon.runtime.receive_midi(arrived_ns, C_ON)
        daemon.play(C_OFF)
        eventually(lambda: sum(map(is_on, daemon.messages)) >= 1, "the stand-in answers")
    journal = read_journal(daemon.path)
    assert differences(journal) == []
    first = next(sent for sent in journal.sent if is_on(sent.message))
    assert first.due_ns == arrived_ns + (-20 + 2 * 300) * NS_PER_MS, "two beats after the key"
    left_ns = daemon.left_ns[0] + 60 * NS_PER_MS
    assert first.due_ns <= first.sent_ns <= left_ns


def test_a_mind_that_is_ready_is_told_and_asked(daemon: Daemon, eventually: Eventually) -> None:
    daemon.runtime.heard_mind(Ready("paper", 1, 1))
    with daemon.living():
        daemon.play(C_ON, C_OFF)
        eventually(lambda: any(isinstance(value, Continue) for value in daemon.told))
    assert isinstance(daemon.told[0], Prompt)
    assert daemon.told[0].reset


def test_commands_are_checked_before_they_are_taken(daemon: Daemon, eventually: Eventually) -> None:
    with daemon.living():
        assert daemon.runtime.command("ping", ()) == (__version__,)
        assert daemon.runtime.command("bars", ("2",)) == (2,)
        with pytest.raises(CommandError, match="bars takes 1 to 64"):
            daemon.runtime.command("bars", (0,))
        eventually(lambda: daemon.runtime.command("state", ())[2:3] == (2,))


def test_the_state_is_there_from_the_start_and_its_beat_goes_on(
    daemon: Daemon, eventually: Eventually
) -> None:
    with daemon.living():
        eventually(lambda: daemon.runtime.command("state", ()))
        state = daemon.runtime.command("state", ())
        assert state == ("trade", "idle", 1, 200.0, 0, "loading", "internal", 0.0)
        daemon.play(C_ON)
        eventually(lambda: daemon.runtime.command("state", ())[4] == 1)
        first = daemon.runtime.command("state", ())[-1]
        eventually(lambda: daemon.runtime.command("state", ())[-1] > first)
    assert isinstance(daemon.published[0], StateChanged)
