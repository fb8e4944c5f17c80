"""Following a host that reports its beat: jitter, tempo, silence and loops."""

import random
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clock.host_clock import EXACT_SILENCE_NS, SHORTEST_SILENCE_NS, HostClock
from daemon.clock.transport import NS_PER_MINUTE, Transport

NS_PER_MS = 1_000_000
BEGIN_NS = 5_000_000_000


def reports(
    clock: HostClock,
    *,
    beats: float,
    every: float,
    bpm: float = 120.0,
    told_bpm: float | None = None,
    late_ms: random.Random | None = None,
    begin_ns: int = BEGIN_NS,
) -> list[float]:
    """A host plays in a steady tempo; return how far off the line was at each report, in ms."""
    truth = Transport(begin_ns, 0.0, bpm, True)
    off_ms = []
    for number in range(round(beats / every)):
        beat = number * every
        late_ns = round(late_ms.expovariate(1) * NS_PER_MS) if late_ms else 0
        t_ns = truth.ns_at(beat) + late_ns
        line = clock.feed(t_ns, playing=True, beat=beat, bpm=told_bpm or bpm)
        off_ms.append(abs(line.beat_at(t_ns) - truth.beat_at(t_ns)) * truth.ns_per_beat / NS_PER_MS)
    return off_ms


@pytest.mark.parametrize("every", [1.0, 0.25, 1 / 24])
@pytest.mark.parametrize("bpm", [60.0, 120.0, 240.0])
def test_the_jitter_of_a_network_is_smoothed(every: float, bpm: float) -> None:
    """A millisecond in the mean, and now and then five: the line is late by the mean."""
    clock = HostClock(bpm=120, exact=False)
    off_ms = reports(clock, beats=400 * every, every=every, bpm=bpm, late_ms=random.Random(1))
    assert quantiles(off_ms[8:], n=20)[-1] < 2.0


@pytest.mark.parametrize("every", [1.0, 0.25])
def test_a_tempo_told_in_round_numbers_does_not_drift(every: float) -> None:
    clock = HostClock(bpm=120, exact=False)
    off_ms = reports(clock, beats=200, every=every, bpm=123.04, told_bpm=123.0)
    assert max(off_ms) < 3.0


def test_a_new_tempo_is_taken_as_it_is_told() -> None:
    clock = HostClock(bpm=120, exact=False)
    reports(clock, beats=16, every=1.0, late_ms=random.Random(2))
    line = clock.feed(BEGIN_NS + 8_000_000_000, playing=True, beat=16.02, bpm=90.0)
    assert (line.bpm, line.anchor_beat) == (90.0, 16.02)


def test_far_off_the_line_it_is_believed_at_once() -> None:
    clock = HostClock(bpm=120, exact=False)
    reports(clock, beats=16, every=1.0)
    line = clock.feed(BEGIN_NS + 8_000_000_000, playing=True, beat=40.0, bpm=120.0)
    assert line.anchor_beat == 40.0


def test_link_is_believed_to_the_last_digit() -> None:
    clock = HostClock(bpm=120, exact=True)
    clock.feed(BEGIN_NS, playing=True, beat=3.0, bpm=120.0)
    line = clock.feed(BEGIN_NS + 20 * NS_PER_MS, playing=True, beat=3.0401, bpm=120.0)
    assert line.anchor_beat == 3.0401


# Silence.


def test_who_reports_each_beat_is_missed_after_some_beats() -> None:
    clock = HostClock(bpm=30, exact=False)
    reports(clock, beats=8, every=1.0, bpm=30.0)
    last_ns = Transport(BEGIN_NS, 0.0, 30.0, True).ns_at(7)
    assert clock.lost_ns == last_ns + 4 * 2_000_000_000


def test_who_reports_often_is_missed_after_two_seconds() -> None:
    clock = HostClock(bpm=120, exact=False)
    reports(clock, beats=8, every=1 / 16)
    last_ns = Transport(BEGIN_NS, 0.0, 120.0, True).ns_at(8 - 1 / 16)
    assert clock.lost_ns == last_ns + SHORTEST_SILENCE_NS


def test_who_reports_changes_alone_is_never_missed() -> None:
    clock = HostClock(bpm=120, exact=False)
    clock.feed(BEGIN_NS, playing=True, beat=0.0, bpm=120.0)
    assert clock.lost_ns is None
    clock.feed(BEGIN_NS + 60_000_000_000, playing=True, beat=120.0, bpm=90.0)
    assert clock.lost_ns is None


def test_who_stands_still_may_be_silent() -> None:
    clock = HostClock(bpm=120, exact=False)
    reports(clock, beats=8, every=0.25)
    clock.feed(BEGIN_NS + 4_000_000_000, playing=False, beat=8.0, bpm=120.0)
    assert clock.lost_ns is None


def test_link_is_missed_after_a_second_even_if_it_stands_still() -> None:
    clock = HostClock(bpm=120, exact=True)
    assert clock.lost_ns is None
    clock.feed(BEGIN_NS, playing=False, beat=0.0, bpm=120.0)
    assert clock.lost_ns == BEGIN_NS + EXACT_SILENCE_NS


def test_the_silence_itself_does_not_make_it_patient() -> None:
    clock = HostClock(bpm=120, exact=False)
    reports(clock, beats=8, every=0.25)
    back_ns = BEGIN_NS + 60_000_000_000
    assert clock.starts_with(back_ns, playing=True)
    clock.feed(back_ns, playing=True, beat=120.0, bpm=120.0)
    assert clock.lost_ns == back_ns + SHORTEST_SILENCE_NS


# Loops.


def looping(*, every: float = 0.25) -> HostClock:
    """In the last beat before the seam of a loop over the beats 4 to 8."""
    clock = HostClock(bpm=120, exact=False)
    reports(clock, beats=7.5, every=every)
    clock.set_loop(4.0, 4.0)
    return clock


def test_the_seam_is_known_before_it_is_there() -> None:
    clock = looping()
    seam_ns = Transport(BEGIN_NS, 0.0, 120.0, True).ns_at(8)
    assert clock.seam_ns == seam_ns
    assert clock.fold(seam_ns).beat_at(seam_ns) == pytest.approx(4.0)
    assert clock.seam_ns == pytest.approx(seam_ns + 4 * NS_PER_MINUTE / 120, abs=2)


def test_rounds_that_nobody_saw_are_folded_at_once() -> None:
    clock = looping()
    t_ns = Transport(BEGIN_NS, 0.0, 120.0, True).ns_at(21.5)
    assert clock.fold(t_ns).beat_at(t_ns) == pytest.approx(5.5)


@given(st.floats(-0.05, 0.05))
def test_a_report_from_the_other_side_of_the_seam_is_no_jump(off: float) -> None:
    clock = looping()
    seam_ns = Transport(BEGIN_NS, 0.0, 120.0, True).ns_at(8)
    clock.fold(seam_ns)
    told = 4.0 + off if off >= 0 else 8.0 + off
    line = clock.feed(seam_ns, playing=True, beat=told, bpm=120.0)
    assert line.beat_at(seam_ns) == pytest.approx(4.0, abs=0.02)


def test_who_plays_on_beyond_the_loop_has_no_seam() -> None:
    clock = looping()
    clock.feed(BEGIN_NS + 4_500_000_000, playing=True, beat=9.0, bpm=120.0)
    assert clock.seam_ns is None


def test_a_loop_that_is_off_has_no_seam() -> None:
    clock = looping()
    clock.set_loop(4.0, 0.0)
    assert clock.seam_ns is None
