"""A host that sends its MIDI clock at exact frames of JACK's, and reads Segue's notes with frames.

It does what a hand on a real host does in the middle of an answer: stops, goes on, goes elsewhere,
loops. It changes its tempo from 60 to 200 while bars are traded, and it sends a poor clock: ticks
that tremble by 5 ms, are lost, and are sent twice.

Where each note lies is judged by the host's own bars; a concert in which the host did not keep time
is played again (see host_time.py).
"""

import random
from statistics import median

import pytest
from clock_score import ClockScore, Heard, Performance, perform
from host_time import STEADY_MS, in_time, play_until_steady
from stage import Musician, Segue, faults, first_of_bars, sounding, trades, tune

BAR = 4.0  # beats
BPM = 120.0
STEP = 1 / 12  # of the grid, in beats
TUNE = "C4 E4 G4 C5"
#: A note is on its way for a period or two, and what is stamped at the beginning of one is as old.
PERIODS = 2
#: The ripple of a clock that is followed, in the median and for nineteen of twenty.
MARGIN_MS = 4.0
P95_MARGIN_MS = 20.0
#: What may sound after stop, without the way to Segue and back.
STOP_MS = 5.0
#: What was due just when the host went elsewhere is heard within this.
UNDER_WAY_S = 0.02
#: Whatever the machine does: nothing is heard later than this.
SURELY_S = 0.5
JITTER_S = 0.005
LOST = DOUBLED = 1 / 200

Band = tuple[Segue, Musician]


@pytest.fixture(scope="module")
def band(segue, musician, tmp_path_factory) -> Band:
    """Segue, and who plays both the host and the player."""
    daemon: Segue = segue("--bars", "1", takes=tmp_path_factory.mktemp("host"))
    player: Musician = musician("host", daemon)
    daemon.await_mind()
    return daemon, player


def concert(band: Band, host: ClockScore, *, bars: int) -> Performance:
    """Play a score, in which Segue takes turns of so many bars."""
    daemon, player = band
    daemon.command("bars", bars)

    def play() -> Performance:
        played = perform(player, host)
        daemon.await_state(playing=0, phase="idle")
        return played

    return play_until_steady(play)


@pytest.fixture(scope="module")
def stopped(band) -> Performance:
    """The host stops in the middle of an answer, goes on, stops, goes elsewhere, jumps, stops."""
    host = ClockScore(BPM)
    host.start()
    host.play(6.5, notes=tune(TUNE))
    host.stop()
    host.wait(1)
    host.resume()
    host.play(14.5, notes=tune(TUNE, beat=8))
    host.stop()
    host.wait(1)
    host.locate(22)  # the middle of a bar
    host.resume()
    host.play(30.5, notes=tune(TUNE, beat=24))
    host.locate(3)  # without a stop, and to another place in the bar
    host.play(10.5, notes=tune(TUNE, beat=4))
    host.stop()
    return concert(band, host, bars=1)


@pytest.fixture(scope="module")
def looped(band) -> Performance:
    """The host loops over two bars; the seam lies in the middle of each answer of two bars."""
    host = ClockScore(BPM)
    host.start()
    host.play(12, notes=tune(TUNE) + tune(TUNE, beat=4))
    for notes in (tune(TUNE, beat=8), [], tune(TUNE, beat=8)):  # in the player's turns alone
        host.locate(4)
        host.play(12, notes=notes)
    host.stop()
    return concert(band, host, bars=2)


@pytest.fixture(scope="module")
def ramp(band) -> Performance:
    """From 60 to 200 within ten bars, and on for two more."""
    notes = trades(TUNE, bars=1, turns=6)
    host = ClockScore(60.0)
    host.start()
    host.play(40, notes=notes, to_bpm=200.0)
    host.play(49, notes=notes)
    host.stop()
    return concert(band, host, bars=1)


@pytest.fixture(scope="module")
def poor(band) -> list[Performance]:
    """Three times twelve bars of a clock that trembles, with ticks lost and sent twice."""
    return [concert(band, poor_clock(random.Random(seed)), bars=1) for seed in (1, 2, 3)]


def poor_clock(chance: random.Random) -> ClockScore:
    """Twelve bars, and ticks as chance has them."""

    def ticks_at(second: float) -> list[float]:
        count = chance.choices((0, 1, 2), (LOST, 1 - LOST - DOUBLED, DOUBLED))[0]
        return [second + chance.uniform(-JITTER_S, JITTER_S) for _ in range(count)]

    host = ClockScore(BPM)
    host.start()
    host.wait(0.1)
    host.play(49, notes=trades(TUNE, bars=1, turns=6), ticks_at=ticks_at)
    host.wait(0.1)
    host.stop()
    return host


def entries(performance: Performance) -> list[Heard]:
    """The first strike in each bar in which Segue plays."""
    strikes = [strike for strike in performance.strikes if not was_under_way(strike, performance)]
    return [strikes[number] for number in first_of_bars([strike.beat for strike in strikes])]


def was_under_way(strike: Heard, performance: Performance) -> bool:
    """Whether it was sent before Segue could know that the host had gone elsewhere."""
    return any(0 <= strike.second - moved_s < UNDER_WAY_S for moved_s in performance.host.moves_s)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[round(share * (len(values) - 1))]


def assert_near(off_ms: list[float], period_ms: float) -> None:
    """In the median, and for nineteen of twenty."""
    near_ms = PERIODS * period_ms + MARGIN_MS
    assert median(map(abs, off_ms)) <= near_ms, off_ms
    assert percentile([abs(ms) for ms in off_ms], 0.95) <= near_ms + P95_MARGIN_MS, off_ms


def sounding_at(performance: Performance, second: float) -> set[int]:
    return sounding(heard.event for heard in performance.heard if heard.second < second)


def test_what_sounds_at_stop_is_released_at_once(band, stopped):
    late_ms = []
    for stop_s in in_time(stopped).host.stops_s:
        if sounding_at(stopped, stop_s):
            after = [h.second - stop_s for h in stopped.heard if 0 <= h.second - stop_s < SURELY_S]
            late_ms.append(1e3 * max(after))
    assert late_ms
    assert median(late_ms) <= STOP_MS + PERIODS * band[1].period_ms + MARGIN_MS, late_ms


def test_nothing_sounds_while_the_host_stands_still(stopped):
    for stop_s in stopped.host.stops_s:
        assert not sounding_at(stopped, stop_s + SURELY_S)
        rest = (stop_s + SURELY_S, stop_s + 1.0)
        assert not [h for h in stopped.heard if rest[0] < h.second < rest[1]]


def test_after_each_stop_and_relocation_the_bars_follow_the_hosts(band, stopped):
    begun = entries(in_time(stopped))
    assert [round(strike.beat) for strike in begun] == [4, 12, 28, 8], stopped.strikes
    assert_near([strike.off_ms(BAR) for strike in begun], band[1].period_ms)
    assert_near([strike.off_ms(STEP) for strike in stopped.strikes], band[1].period_ms)


def test_a_loop_from_bar_line_to_bar_line_plays_on(band, looped):
    answers = [(in_time(looped).host.score[0][0] + beat * 60 / BPM) for beat in (8, 24)]
    for begin_s in answers:
        seam_s, end_s = begin_s + BAR * 60 / BPM, begin_s + 2 * BAR * 60 / BPM
        assert [h for h in looped.strikes if begin_s - 0.02 < h.second < seam_s - 0.02]
        assert [h for h in looped.strikes if seam_s + 0.02 < h.second < end_s - 0.02]
    begun = [next(h for h in looped.strikes if h.second > begin_s - 0.1) for begin_s in answers]
    assert [round(strike.beat) for strike in begun] == [8, 8]
    assert_near([strike.off_ms(BAR) for strike in begun], band[1].period_ms)
    assert_near([strike.off_ms(STEP) for strike in looped.strikes], band[1].period_ms)


def test_answers_begin_on_the_line_through_a_ramp_from_60_to_200(band, ramp):
    begun = entries(in_time(ramp))
    assert [round(strike.beat) for strike in begun] == [4, 12, 20, 28, 36, 44]
    assert_near([strike.off_ms(BAR) for strike in begun], band[1].period_ms)


def test_onsets_lie_on_the_hosts_grid_through_a_ramp(band, ramp):
    assert_near([strike.off_ms(STEP) for strike in in_time(ramp).strikes], band[1].period_ms)


def test_a_poor_clock_is_followed(band, poor):
    """All in their bars, and to the millisecond but for one: a clock can be read a tick off."""
    steady = [performance for performance in poor if performance.stood_still_ms < STEADY_MS]
    if len(steady) < 2:
        in_time(next(performance for performance in poor if performance not in steady))
    for performance in steady:
        begun = entries(performance)
        assert [round(strike.beat) for strike in begun] == [4, 12, 20, 28, 36, 44]
    off_ms = [[strike.off_ms(STEP) for strike in performance.strikes] for performance in steady]
    off_ms.sort(key=lambda values: median(map(abs, values)))
    for values in off_ms[:2]:
        assert_near(values, band[1].period_ms)


def test_no_note_hangs(stopped, looped, ramp, poor):
    for performance in (stopped, looped, ramp, *poor):
        assert faults([heard.event for heard in performance.heard]) == []
