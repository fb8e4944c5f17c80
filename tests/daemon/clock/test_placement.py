"""Where a leader's bars lie on the session's beats."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clock.placement import IN_TIME_BEATS, Placement
from engine.meter import bar_at, line_after
from engine.protocol import Meter

METRES = [(4, 4), (3, 4), (6, 8), (5, 4), (7, 8), (2, 2), (12, 8)]
metres = st.sampled_from(METRES)


def placement(numerator: int = 4, denominator: int = 4) -> Placement:
    return Placement((Meter(0.0, numerator, denominator),))


@pytest.mark.parametrize(
    ("host_beat", "session_beat", "ahead"),
    [
        (0.0, 8.0, 0.0),
        (17.5, 9.5, 0.0),
        (16.0, 7.96, 0.04),  # we are a moment before the line
        (15.97, 8.0, -0.03),  # and the host is
        (1.0, 8.0, None),
        (2.0, 8.0, None),
        (3.9, 8.0, None),
    ],
)
def test_in_time_is_the_same_place_in_the_bar(
    host_beat: float, session_beat: float, ahead: float | None
) -> None:
    found = placement().in_time(host_beat, session_beat)
    assert found == (ahead if ahead is None else pytest.approx(ahead))


@pytest.mark.parametrize(
    ("host_beat", "session_beat", "ahead"),
    [(17.0, 8.0, 0.0), (17.5, 9.5, 0.0), (18.0, 7.96, 0.04), (15.97, 9.0, -0.03), (2.9, 8.0, None)],
)
def test_on_the_beat_is_the_same_place_in_the_beat(
    host_beat: float, session_beat: float, ahead: float | None
) -> None:
    found = placement().on_the_beat(host_beat, session_beat)
    assert found == (ahead if ahead is None else pytest.approx(ahead))


def test_after_a_round_the_bars_are_caught_up_with_at_the_hosts_next_place() -> None:
    placed = placement()
    placed.go_round(16.0, at=7.0)
    assert placed.is_apart
    placed.catch_up(17.2, now=8.2)
    assert not placed.is_apart
    assert placed.offset_beats + 17.2 == pytest.approx(9.2)
    assert placed.meters == (Meter(0.0, 4, 4),)


def test_the_hosts_bars_are_laid_on_from_the_next_bar_line() -> None:
    placed = placement()
    placed.lay_on(21.5, from_beat=5.0)
    assert placed.offset_beats + 21.5 == 8 + 1.5
    assert placed.meters == (Meter(0.0, 4, 4),)


def test_a_told_metre_is_laid_on_with_its_bars() -> None:
    """A host in 3/4 whose bars begin at its beat 1, in a session in 4/4."""
    placed = placement()
    placed.led_by(Meter(1.0, 3, 4))
    placed.lay_on(9.0, from_beat=5.0)  # two beats into its bar
    assert placed.meters == (Meter(0.0, 4, 4), Meter(8.0, 3, 4))
    assert placed.offset_beats + 9.0 == 10.0


def test_a_change_that_is_told_ahead_comes_at_its_bar_line() -> None:
    placed = placement()
    placed.told(Meter(12.0, 6, 8), now=9.2)
    assert placed.meters == (Meter(0.0, 4, 4), Meter(12.0, 6, 8))


def test_a_change_that_is_told_late_counts_from_the_bar_that_runs() -> None:
    placed = placement()
    placed.told(Meter(8.0, 3, 4), now=12.1)
    assert placed.meters == (Meter(0.0, 4, 4), Meter(11.0, 3, 4))


def test_what_is_told_again_changes_nothing() -> None:
    placed = placement()
    for now in (0.0, 3.99, 4.0, 9.5):
        placed.told(Meter(0.0, 4, 4), now=now)
    assert placed.meters == (Meter(0.0, 4, 4),)


def test_there_and_back_again() -> None:
    placed = placement()
    for beat, metre in ((3.0, (3, 4)), (5.0, (6, 8)), (8.0, (5, 4)), (13.0, (4, 4))):
        placed.set_own(*metre, from_beat=beat)
    assert placed.meters == (
        Meter(0.0, 4, 4),
        Meter(4.0, 3, 4),
        Meter(7.0, 6, 8),
        Meter(10.0, 5, 4),
        Meter(15.0, 4, 4),
    )


def test_who_thinks_better_of_it_before_the_line_has_changed_nothing() -> None:
    placed = placement()
    placed.set_own(3, 4, from_beat=5.0)
    placed.set_own(4, 4, from_beat=6.0)
    assert placed.meters == (Meter(0.0, 4, 4),)


def test_before_anything_was_played_the_metre_is_simply_another() -> None:
    placed = placement()
    placed.set_own(7, 8, from_beat=0.0)
    assert placed.meters == (Meter(0.0, 7, 8),)


def test_a_metre_of_our_own_is_kept_for_when_no_host_tells_one() -> None:
    placed = placement()
    placed.led_by(Meter(0.0, 3, 4))
    placed.set_own(5, 4, from_beat=None)
    assert placed.meters == (Meter(0.0, 4, 4),)
    placed.led_by(None)
    placed.lay_on(0.0, from_beat=6.0)
    assert placed.meters == (Meter(0.0, 4, 4), Meter(8.0, 5, 4))


def test_bars_that_are_caught_up_with_are_the_hosts_though_others_were_to_come() -> None:
    placed = placement()
    placed.told(Meter(1.0, 4, 4), now=0.0)
    assert placed.meters == (Meter(0.0, 4, 4), Meter(1.0, 4, 4))
    placed.go_round(0.0, 0.0)
    placed.catch_up(0.0, 0.0)  # three beats into a bar of the host's
    assert placed.offset_beats == 3.0
    assert placed.meters == (Meter(0.0, 4, 4),)


places = st.floats(-100, 10_000)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("lay on"), places),
        st.tuples(st.just("put"), places),
        st.tuples(st.just("round"), places),
        st.tuples(st.just("told"), st.tuples(st.floats(-8, 8), metres)),
        st.tuples(st.just("own"), metres),
        st.tuples(st.just("wait"), st.floats(0, 20)),
    ),
    max_size=20,
)


@given(metres, steps)
def test_after_whatever_happened_our_bars_are_the_hosts(
    first: tuple[int, int], script: list[tuple[str, Any]]
) -> None:
    """Wherever the host is put or told, the place in the bar is its own; meters only rise."""
    placed = placement(*first)
    bars = Meter(0.0, *first)
    now = 0.0
    for what, value in script:
        if what == "wait":
            now += value
        elif what == "lay on":
            placed.lay_on(value, from_beat=now)
            now = max(now, value + placed.offset_beats)
        elif what == "put":
            ahead = placed.in_time(value, now)
            if ahead is None:
                continue
            assert abs(ahead) <= IN_TIME_BEATS
            placed.put(value, now + ahead)
            now = max(now, now + ahead)
        elif what == "round":
            placed.go_round(value, now)
            at = placed.next_place(value, now)
            assert now - 2e-6 <= at < now + 2 * placed.meters[-1].bar_beats + bars.bar_beats
            placed.catch_up(value, now)
            assert value + placed.offset_beats == pytest.approx(at)
            now = max(now, at)
        elif what == "told":
            off, metre = value
            bars = Meter(now - placed.offset_beats + off, *metre)
            placed.told(bars, now=now - placed.offset_beats)
        else:
            placed.set_own(*value, from_beat=now)
            bars = Meter(line_after(placed.meters, now) - placed.offset_beats, *value)
        beats = [meter.beat for meter in placed.meters]
        assert beats == sorted(set(beats))
        line = max(now, placed.meters[-1].beat) + 1e-4
        ours = line - bar_at(placed.meters, line).start
        theirs = (line - placed.offset_beats - bars.beat) % bars.bar_beats
        apart = abs(ours - theirs)
        assert min(apart, bars.bar_beats - apart) < 2e-4
