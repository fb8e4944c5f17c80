"""Due messages, and the ledger of what sounds."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from musicians import is_on

from daemon.interface.messages import is_on as schedule_is_on
from daemon.session.schedule import Due, Schedule

TICK, START, STOP = b"\xf8", b"\xfa", b"\xfc"
C_ON, C_OFF, E_ON, E_OFF = b"\x90\x3c\x50", b"\x80\x3c\x00", b"\x90\x40\x50", b"\x80\x40\x00"


def messages(due: list[Due]) -> list[bytes]:
    return [item.message for item in due]


def test_what_is_due_comes_in_order_of_time() -> None:
    schedule = Schedule()
    schedule.push(20, E_ON)
    schedule.push(10, C_ON)
    schedule.push(30, C_OFF)
    assert schedule.next_due_ns == 10
    assert messages(schedule.pop_due(9)) == []
    assert messages(schedule.pop_due(20)) == [C_ON, E_ON]
    assert schedule.next_due_ns == 30


def test_at_one_time_releases_come_before_attacks() -> None:
    schedule = Schedule()
    schedule.push(0, C_ON)
    schedule.push(10, C_ON)
    schedule.push(10, C_OFF)
    assert messages(schedule.pop_due(10)) == [C_ON, C_OFF, C_ON]


def test_a_second_note_on_is_preceded_by_a_note_off() -> None:
    schedule = Schedule()
    schedule.push(0, C_ON)
    schedule.push(5, C_ON)
    assert messages(schedule.pop_due(5)) == [C_ON, C_OFF, C_ON]


def test_release_all_forgets_what_is_planned() -> None:
    schedule = Schedule()
    for due_ns, message in ((0, E_ON), (0, C_ON), (10, C_OFF), (10, E_OFF), (20, C_ON)):
        schedule.push(due_ns, message)
    schedule.pop_due(0)
    assert schedule.sounding == {(0, 60), (0, 64)}
    assert messages(schedule.release_all(5)) == [C_OFF, E_OFF]
    assert schedule.next_due_ns is None
    assert schedule.release_all(6) == []


def test_at_one_time_the_clock_comes_first() -> None:
    schedule = Schedule()
    schedule.push(0, C_ON)
    for message in (E_ON, C_OFF, START, TICK):
        schedule.push(10, message)
    assert messages(schedule.pop_due(10)) == [C_ON, START, TICK, C_OFF, E_ON]


def test_a_panic_does_not_stop_the_clock() -> None:
    schedule = Schedule()
    for due_ns, message in ((0, C_ON), (0, START), (0, TICK), (10, E_ON), (20, TICK)):
        schedule.push(due_ns, message)
    schedule.pop_due(0)
    assert messages(schedule.release_all(5)) == [C_OFF]
    assert messages(schedule.pop_due(30)) == [TICK]


def test_a_stop_takes_back_the_ticks_that_come_later() -> None:
    schedule = Schedule()
    for due_ns, message in ((0, START), (0, TICK), (10, TICK), (20, TICK), (20, C_ON)):
        schedule.push(due_ns, message)
    schedule.push(15, STOP)
    assert messages(schedule.pop_due(30)) == [START, TICK, TICK, STOP, C_ON]


def test_a_clock_that_runs_is_stopped_once() -> None:
    schedule = Schedule()
    assert schedule.stop_clock(0) == []
    for due_ns, message in ((0, START), (0, TICK), (10, TICK)):
        schedule.push(due_ns, message)
    schedule.pop_due(0)
    assert messages(schedule.stop_clock(5)) == [STOP]
    assert schedule.next_due_ns is None
    assert schedule.stop_clock(6) == []


@pytest.mark.parametrize("message", [TICK, START, STOP, b"\xf2\x3c\x50", C_OFF, b"\x90\x3c\x00"])
def test_what_strikes_no_note(message: bytes) -> None:
    assert not schedule_is_on(message)


def test_a_message_that_is_no_note_is_only_sent() -> None:
    schedule = Schedule()
    schedule.push(0, b"\xb0\x3c\x50")
    schedule.push(0, b"\xc0\x05")
    assert messages(schedule.pop_due(0)) == [b"\xb0\x3c\x50", b"\xc0\x05"]
    assert not schedule.sounding


Act = Callable[[Schedule, int], list[Due]]


def _push(after_ns: int, on: bool, pitch: int, channel: int) -> Act:
    message = bytes(((0x90 if on else 0x80) | channel, pitch, 80))

    def act(schedule: Schedule, now_ns: int) -> list[Due]:
        schedule.push(now_ns + after_ns, message)
        return []

    return act


acts = st.one_of(
    st.builds(_push, st.integers(-5, 20), st.booleans(), st.integers(60, 62), st.integers(0, 1)),
    st.just(Schedule.pop_due),
    st.just(Schedule.release_all),
)


@given(st.lists(st.tuples(st.integers(0, 10), acts), max_size=80))
def test_whatever_is_planned_nothing_sounds_twice_or_hangs(
    script: list[tuple[int, Act]],
) -> None:
    schedule = Schedule()
    now_ns = 0
    sounding: set[tuple[int, int]] = set()
    left: list[Due] = []
    for gap_ns, act in [*script, (0, Schedule.release_all)]:
        now_ns += gap_ns
        batch = act(schedule, now_ns)
        assert all(item.due_ns <= now_ns for item in batch)
        assert [item.due_ns for item in batch] == sorted(item.due_ns for item in batch)
        left += batch
    for item in left:
        key = (item.message[0] & 0x0F, item.message[1])
        if is_on(item.message):
            assert key not in sounding
            sounding.add(key)
        else:
            sounding.discard(key)
    assert not sounding
    assert not schedule.sounding
