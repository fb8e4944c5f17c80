"""Beats against nanoseconds."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.clock.transport import Transport

SECOND = 1_000_000_000
bpms = st.floats(20, 400)
beats = st.floats(-1000, 1_000_000)
times = st.integers(0, 10**15)  # eleven days


@given(times, beats, bpms, st.floats(0, 10_000))
def test_a_beat_comes_back_from_its_time(
    anchor_ns: int, anchor_beat: float, bpm: float, later: float
) -> None:
    """To a nanosecond of rounding, and what a float leaves of so great a number."""
    transport = Transport(anchor_ns, anchor_beat, bpm, True)
    beat = anchor_beat + later
    assert abs(transport.beat_at(transport.ns_at(beat)) - beat) < 1e-8


@given(times, beats, bpms, st.integers(0, 10**13))
def test_a_time_comes_back_from_its_beat(
    anchor_ns: int, anchor_beat: float, bpm: float, later_ns: int
) -> None:
    transport = Transport(anchor_ns, anchor_beat, bpm, True)
    t_ns = anchor_ns + later_ns
    assert abs(transport.ns_at(transport.beat_at(t_ns)) - t_ns) <= 1000


@given(times, bpms, bpms, st.integers(0, 10**12))
def test_another_tempo_goes_on_from_the_same_beat(
    t_ns: int, before: float, after: float, later_ns: int
) -> None:
    slow = Transport(t_ns, 0.0, before, True)
    change_ns = t_ns + later_ns
    fast = slow.at_tempo(change_ns, after)
    assert fast.beat_at(change_ns) == slow.beat_at(change_ns)
    assert fast.bpm == after


def test_two_beats_a_second_at_120() -> None:
    transport = Transport(bpm=120.0).started(5 * SECOND, 8.0)
    assert transport.beat_at(6 * SECOND) == 10.0
    assert transport.ns_at(9.0) == 5 * SECOND + SECOND // 2


def test_what_stands_still_stays_where_it_is() -> None:
    standing = Transport(bpm=120.0)
    assert standing.beat_at(77 * SECOND) == 0.0
    stopped = standing.started(0, 0.0).stopped(3 * SECOND)
    assert [stopped.beat_at(t * SECOND) for t in (3, 4, 100)] == [6.0, 6.0, 6.0]
    assert stopped.at_tempo(9 * SECOND, 60.0).beat_at(10 * SECOND) == 6.0


def test_after_a_stop_it_goes_on_from_there() -> None:
    stopped = Transport(bpm=120.0).started(0, 0.0).stopped(3 * SECOND)
    again = stopped.started(10 * SECOND, stopped.anchor_beat)
    assert again.beat_at(11 * SECOND) == 8.0
