"""Who leads, what happens when the leader falls silent, and where its bars are after a jump."""

import math
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clock.source import ClockSource, Moved, Source
from daemon.clock.transport import NS_PER_MINUTE, Transport
from daemon.interface.config import ClockChoice
from daemon.interface.events import HostIn
from engine.meter import bar_at
from engine.protocol import Meter

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
BEGIN_NS = NS_PER_S
TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
CHOICES: tuple[ClockChoice, ...] = ("auto", "internal", "midi", "link", "host")


class Band:
    """A clock source, and around it a MIDI host, a Link peer and a host over OSC that may play.

    `go(beats)` lets time pass, in beats at 120 bpm; who plays, plays. Each host's line may be set.
    """

    def __init__(self, choice: ClockChoice = "auto", *, meter: tuple[int, int] = (4, 4)) -> None:
        self.source = ClockSource(choice, 120.0, (Meter(0.0, *meter),))
        self.now_ns = BEGIN_NS
        self.lines: dict[Source, Transport] = {}
        self.every_ns = {"link": 20 * NS_PER_MS, "host": 125 * NS_PER_MS}
        self.moves: list[Moved] = []
        self.beats: list[float] = []
        self._said: dict[Source, int] = {}

    def plays(self, who: Source, *, beat: float = 0.0, bpm: float = 120.0) -> "Band":
        """`who` goes on from `beat`, now; a MIDI host with a start or its song position."""
        self.lines[who] = Transport(self.now_ns, beat, bpm, True)
        self._said.pop(who, None)
        if who == "midi":
            self._take(self.source.feed(self.now_ns, START if beat == 0 else position(beat)))
            if beat:
                self._take(self.source.feed(self.now_ns, CONTINUE))
        return self

    def stops(self, who: Source) -> "Band":
        """`who` says that it stands still."""
        line = self.lines.pop(who).stopped(self.now_ns)
        if who == "midi":
            self._take(self.source.feed(self.now_ns, STOP))
        else:
            report = HostIn(self.now_ns, who, False, line.anchor_beat, line.bpm)
            self._take(self.source.hear(report))
        return self

    def falls_silent(self, who: Source) -> Transport:
        """The cable of `who` is pulled; return the line that it goes on along, unheard."""
        self._said.pop(who, None)
        return self.lines.pop(who)

    def note(self) -> "Band":
        self._take(self.source.note_played(self.now_ns))
        return self

    def go(self, beats: float) -> "Band":
        end_ns = self.now_ns + round(beats * NS_PER_MINUTE / 120)
        while self.now_ns < end_ns:
            soonest = [self._next_ns(who) for who in self.lines]
            if (check_ns := self.source.next_check_ns) is not None:
                soonest.append(check_ns)
            self.now_ns = max(self.now_ns, min([end_ns, *soonest]))
            for who in list(self.lines):
                if self.now_ns < end_ns and self._next_ns(who) <= self.now_ns:
                    self._says(who)
            self._take(self.source.check(self.now_ns))
        return self

    def _next_ns(self, who: Source) -> int:
        line = self.lines[who]
        if who not in self._said and who == "midi":  # its ticks lie on its line
            ticks = math.ceil(line.beat_at(self.now_ns) * 24 - 1e-3)
            return max(self.now_ns, line.ns_at(ticks / 24))
        if who not in self._said:
            return self.now_ns
        return self._said[who] + round(self.every_ns.get(who, line.ns_per_beat / 24))

    def _says(self, who: Source) -> None:
        line, t_ns = self.lines[who], self.now_ns
        self._said[who] = t_ns
        if who == "midi":
            self._take(self.source.feed(t_ns, TICK))
        else:
            self._take(self.source.hear(HostIn(t_ns, who, True, line.beat_at(t_ns), line.bpm)))

    def _take(self, moved: Moved | None) -> None:
        if moved is not None:
            self.moves.append(moved)
        self.beats.append(self.beat)

    @property
    def beat(self) -> float:
        return self.source.transport.beat_at(self.now_ns)

    @property
    def playing(self) -> bool:
        return self.source.transport.playing

    @property
    def breaks(self) -> int:
        return sum(move.discontinuous for move in self.moves)

    @property
    def notices(self) -> list[str]:
        return [move.notice for move in self.moves if move.notice]

    def off_ms(self, line: Transport) -> float:
        """How far the place in our bar is from that of `line` in 4/4."""
        beats = (self.beat - line.beat_at(self.now_ns) + 2) % 4 - 2
        return beats * line.ns_per_beat / NS_PER_MS


def position(beat: float) -> bytes:
    sixteenths = round(beat * 4)
    return bytes((0xF2, sixteenths & 0x7F, sixteenths >> 7))


# Who leads.


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("who", ["midi", "link", "host"])
def test_only_who_is_chosen_is_followed(choice: ClockChoice, who: Source) -> None:
    band = Band(choice).plays(who, beat=1.0).go(8)
    follows = choice in ("auto", who)
    waits = choice in ("midi", "host")
    assert band.playing is follows
    assert band.source.leader == (who if follows else choice if waits else "internal")


@pytest.mark.parametrize("choice", CHOICES)
def test_a_note_starts_the_internal_clock_unless_a_host_is_waited_for(choice: ClockChoice) -> None:
    band = Band(choice).note()
    assert band.playing is (choice not in ("midi", "host"))


@pytest.mark.parametrize(
    ("first", "second", "leader"),
    [
        ("link", "midi", "midi"),
        ("link", "host", "host"),
        ("midi", "host", "host"),
        ("midi", "link", "midi"),
        ("host", "midi", "host"),
        ("host", "link", "host"),
    ],
)
def test_a_host_comes_before_midi_and_midi_before_link(
    first: Source, second: Source, leader: Source
) -> None:
    band = Band().note().go(3).plays(first).go(5.5).plays(second).go(4)
    assert band.source.leader == leader
    assert abs(band.off_ms(band.lines[leader])) < 1


def test_a_host_that_stands_still_keeps_the_lead() -> None:
    """Live stops, sends a MIDI Stop, and its Link goes on: nothing is to play."""
    band = Band().plays("midi").plays("link").go(4).stops("midi").go(8).note()
    assert band.source.leader == "midi"
    assert not band.playing


def test_link_without_a_peer_is_nobody() -> None:
    """With start and stop in common: the last peer goes while the music stands still."""
    band = Band("link").plays("link").go(4).stops("link").go(8)
    assert band.source.leader == "internal"
    assert band.note().playing
    assert band.notices == []


def test_a_host_that_is_there_already_and_in_time_takes_over_without_a_break() -> None:
    band = Band().note().go(8).plays("host", beat=16.0).go(4)
    assert band.source.leader == "host"
    assert band.breaks == 0
    assert band.beat == pytest.approx(12.0, abs=0.01)


def test_a_host_that_is_elsewhere_takes_over_with_one_break() -> None:
    band = Band().note().go(9).plays("host", beat=16.0).go(4)
    assert band.breaks == 1
    assert band.beat == pytest.approx(16.0, abs=0.01)


# Silence.

SOURCES: tuple[Source, ...] = ("midi", "link", "host")


@pytest.mark.parametrize("who", SOURCES)
def test_when_the_cable_is_pulled_the_band_plays_on(who: Source) -> None:
    band = Band().plays(who).go(8)
    line = band.falls_silent(who)
    band.go(40)
    assert band.playing
    assert band.source.lost
    assert band.breaks == 0
    assert abs(band.off_ms(line)) < 1
    (notice,) = band.notices
    assert "fell silent: playing on at 120 bpm" in notice


@pytest.mark.parametrize("who", SOURCES)
@pytest.mark.parametrize("silent_beats", [2.0, 7.3, 33.0])
def test_when_it_is_back_it_is_followed_again_without_a_jump(
    who: Source, silent_beats: float
) -> None:
    band = Band().plays(who).go(8)
    line = band.falls_silent(who)
    band.go(silent_beats)
    was_lost = band.source.lost
    band.lines[who] = line
    band.go(8)
    assert not band.source.lost
    assert band.breaks == 0
    assert abs(band.off_ms(line)) < 1
    assert len(band.notices) == 2 * was_lost


@pytest.mark.parametrize("who", ["link", "host"])
@pytest.mark.parametrize("drift", [-0.2, -0.05, 0.05, 0.2])
def test_what_it_drifted_meanwhile_is_glided_over(who: Source, drift: float) -> None:
    band = Band().plays(who).go(8)
    line = band.falls_silent(who)
    band.go(12)
    band.lines[who] = line.shifted(drift)
    band.go(0.5)
    heard = [band.beat]
    for _ in range(48):
        heard.append(band.go(0.125).beat)
    steps = [after - before for before, after in pairwise(heard)]
    assert min(steps) > 0.115 and max(steps) < 0.135, "no step is more than a twentieth off"
    assert band.breaks == 0
    assert abs(band.off_ms(band.lines[who])) < 1


@pytest.mark.parametrize("who", ["link", "host"])
def test_a_greater_drift_is_laid_on_at_the_next_bar_line(who: Source) -> None:
    band = Band().plays(who).go(8)
    line = band.falls_silent(who)
    band.go(12)
    band.lines[who] = line.shifted(1.5)
    band.go(4)
    assert band.breaks == 1
    assert abs(band.off_ms(band.lines[who])) < 1


def test_while_it_is_lost_the_tempo_is_ours() -> None:
    band = Band().plays("host").go(8)
    assert band.source.set_bpm(band.now_ns, 90.0) is None
    band.falls_silent("host")
    band.go(12)
    assert band.source.set_bpm(band.now_ns, 90.0) is not None
    assert band.source.transport.bpm == 90.0


def test_while_it_is_lost_another_may_start() -> None:
    band = Band().plays("host").go(8)
    band.falls_silent("host")
    band.go(8.5).plays("midi").go(4)
    assert band.source.leader == "midi"
    assert not band.source.lost


def test_who_was_there_all_the_time_does_not_take_over_from_a_lost_leader() -> None:
    """A jump to Link's bars would be worse than to play on."""
    band = Band().plays("link", beat=1.7).plays("host").go(8)
    before = band.breaks
    line = band.falls_silent("host")
    band.go(16)
    assert (band.source.leader, band.source.lost, band.breaks) == ("host", True, before)
    assert abs(band.off_ms(line)) < 1


# Jumps.


@pytest.mark.parametrize("who", SOURCES)
@pytest.mark.parametrize("bars", [1, 2, 4])
def test_a_loop_over_whole_bars_does_not_break_the_music(who: Source, bars: int) -> None:
    band = Band().plays(who, beat=16.0).go(4 * bars)
    for _ in range(3):
        band.plays(who, beat=16.0).go(4 * bars)
    assert band.breaks == 0
    assert band.beat == pytest.approx(16 * bars, abs=0.05)
    assert abs(band.off_ms(band.lines[who])) < 1


@pytest.mark.parametrize("who", SOURCES)
def test_a_section_skipped_in_time_does_not_break_the_music(who: Source) -> None:
    band = Band().plays(who, beat=4.0).go(5.0).plays(who, beat=41.0).go(3)
    assert band.breaks == 0
    assert band.beat == pytest.approx(8.0, abs=0.05)


@pytest.mark.parametrize("who", SOURCES)
def test_another_place_in_the_bar_breaks_it(who: Source) -> None:
    band = Band().plays(who, beat=4.0).go(5.0).plays(who, beat=42.0).go(3)
    assert band.breaks == 1
    assert band.beat == pytest.approx(8 + 2 + 3, abs=0.05)


def test_a_told_loop_is_gone_through_on_its_seam_and_not_at_the_next_report() -> None:
    band = Band()
    band.every_ns["host"] = 3 * NS_PER_S
    band.source.set_host_loop(band.now_ns, 16.0, 8.0)
    band.plays("host", beat=16.0).go(8.5)
    line = Transport(band.now_ns, 16.5, 120.0, True)
    assert band.breaks == 0
    assert abs(band.off_ms(line)) < 1
    band.lines["host"] = line
    band.go(6)
    assert band.breaks == 0
    assert abs(band.off_ms(line)) < 1


def test_a_told_loop_over_half_a_bar_is_gone_through_on_its_seam() -> None:
    band = Band()
    band.source.set_host_loop(band.now_ns, 16.0, 2.0)
    band.plays("host", beat=16.0).go(1.9)
    band.falls_silent("host")
    band.go(6.2)
    assert band.breaks == 0
    assert band.beat == pytest.approx(8.1)


@pytest.mark.parametrize("who", ["midi", "host"])
@pytest.mark.parametrize("beats", [1.0, 2.0, 3.0, 5.0])
def test_a_loop_over_part_of_a_bar_does_not_break_the_music(who: Source, beats: float) -> None:
    band = Band().plays(who, beat=16.0).go(beats)
    for _ in range(4):
        band.plays(who, beat=16.0).go(beats)
    assert band.breaks == 0
    assert band.source.meters == (Meter(0.0, 4, 4),)
    if beats < 4:
        assert band.beat == pytest.approx(5 * beats, abs=0.05)


@pytest.mark.parametrize("who", ["midi", "host"])
def test_when_such_a_loop_is_over_the_hosts_bars_are_taken_on(who: Source) -> None:
    """Nobody minds just now, so past the place where the host went back the beat may leap."""
    band = Band().plays(who, beat=16.0).go(3).plays(who, beat=16.0).go(3.2)
    assert band.beat == pytest.approx(6.2, abs=0.05)
    band.go(1)
    assert band.breaks == 0
    assert abs(band.off_ms(band.lines[who])) < 1
    assert band.beat == pytest.approx(8.2, abs=0.05), "3 and 4.2 beats, and a leap of one"


def test_while_somebody_minds_the_beats_go_on_and_the_bars_wait() -> None:
    band = Band().plays("host", beat=16.0).go(3).plays("host", beat=16.0)
    band.source.keeps_bars = True
    assert band.go(20).beat == pytest.approx(23.0, abs=0.01)
    band.source.keeps_bars = False
    assert band.go(0.5).beat == pytest.approx(24.5, abs=0.01), "half a beat, and a leap of one"
    assert abs(band.off_ms(band.lines["host"])) < 1
    assert band.breaks == 0


@pytest.mark.parametrize("to", [14.7, 16.5, 25.0])
def test_who_goes_back_off_the_beat_or_forward_to_another_place_breaks_it(to: float) -> None:
    band = Band().plays("host", beat=16.0).go(3).plays("host", beat=to).go(1)
    assert band.breaks == 1


def test_stop_and_play_again_from_the_same_place_goes_on() -> None:
    band = Band().plays("host").go(6).stops("host")
    assert not band.playing
    band.go(4).plays("host", beat=6.0).go(2)
    assert [move.discontinuous for move in band.moves if move.discontinuous] == [True]  # the stop
    assert band.beat == pytest.approx(8.0, abs=0.01)


@pytest.mark.parametrize("who", ["link", "host"])
def test_a_ramp_from_60_to_200_in_64_beats_is_followed(who: Source) -> None:
    band = Band().plays(who, bpm=60.0)
    off_ms = []
    for step in range(256):
        band.lines[who] = band.lines[who].at_tempo(band.now_ns, 60.0 + 140 * step / 256)
        band.go(0.25 * 120 / band.lines[who].bpm)
        off_ms.append(abs(band.off_ms(band.lines[who])))
    assert band.breaks == 0
    assert sorted(off_ms)[243] < 3.0, "the 95th percentile"


# Metre.


def test_the_hosts_metre_comes_with_its_bar_line() -> None:
    band = Band().plays("host").go(7)
    band.source.set_host_meter(band.now_ns, 3, 4, 8.0)
    band.go(8)
    assert band.source.meters == (Meter(0.0, 4, 4), Meter(pytest.approx(8.0, abs=1e-3), 3, 4))


def test_a_metre_told_before_the_first_report_is_the_hosts_from_the_first_bar() -> None:
    band = Band()
    band.source.set_host_meter(band.now_ns, 7, 8, 0.0)
    band.plays("host", beat=8.0).go(4)
    assert band.source.meters == (Meter(0.0, 7, 8),)
    assert band.beat == pytest.approx(1.0 + 4.0, abs=0.01)  # 8 is a beat into its third bar


def test_our_own_metre_comes_with_the_next_bar_line() -> None:
    band = Band().plays("midi").go(5)
    moved = band.source.set_meter(band.now_ns, 6, 8)
    assert moved is not None
    assert moved.meters_changed and not moved.discontinuous
    assert band.source.meters == (Meter(0.0, 4, 4), Meter(8.0, 6, 8))
    assert band.source.set_meter(band.now_ns, 6, 8) is None


def test_a_host_that_has_told_its_metre_keeps_it() -> None:
    band = Band().plays("host").go(1)
    band.source.set_host_meter(band.now_ns, 3, 4, 0.0)
    assert band.source.set_meter(band.now_ns, 5, 4) is None
    assert band.source.meters[-1].numerator == 3


# Laws.

acts = st.one_of(
    st.tuples(st.just("plays"), st.sampled_from(SOURCES), st.sampled_from([0, 1.25, 8, 37.5])),
    st.tuples(st.just("silent"), st.sampled_from(SOURCES), st.none()),
    st.tuples(st.just("stops"), st.sampled_from(SOURCES), st.none()),
    st.tuples(st.just("tempo"), st.sampled_from(SOURCES), st.floats(60, 200)),
    st.tuples(st.just("shift"), st.sampled_from(SOURCES), st.floats(-0.4, 0.4)),
    st.tuples(st.just("go"), st.none(), st.floats(0.01, 9)),
    st.tuples(st.just("note"), st.none(), st.none()),
    st.tuples(st.just("bpm"), st.none(), st.floats(20, 400)),
    st.tuples(st.just("metre"), st.none(), st.sampled_from([(3, 4), (4, 4), (7, 8)])),
    st.tuples(st.just("host metre"), st.none(), st.sampled_from([(3, 4), (4, 4), (6, 8)])),
    st.tuples(st.just("loop"), st.none(), st.sampled_from([0.0, 1.5, 4.0, 8.0])),
)
scripts = st.lists(acts, max_size=14)


def perform(band: Band, script: Iterable[tuple[str, Source | None, object]]) -> None:
    for what, who, value in script:
        source = band.source
        if what == "plays":
            band.plays(who, beat=value)
        elif what == "silent" and who in band.lines:
            band.falls_silent(who)
        elif what == "stops" and who in band.lines:
            band.stops(who)
        elif what == "tempo" and who in band.lines:
            line = band.lines[who]
            band.lines[who] = line.at_tempo(band.now_ns, value)
        elif what == "shift" and who in band.lines and who != "midi":
            band.lines[who] = band.lines[who].shifted(value)
        elif what == "go":
            band.go(value)
        elif what == "note":
            band.note()
        elif what == "bpm":
            source.set_bpm(band.now_ns, value)
        elif what == "metre":
            source.set_meter(band.now_ns, *value)
        elif what == "host metre":
            source.set_host_meter(band.now_ns, *value, band.beat)
        elif what == "loop":
            source.set_host_loop(band.now_ns, 8.0, value)


@given(st.sampled_from(CHOICES), scripts)
def test_the_sessions_beats_never_fall_back(choice: ClockChoice, script: list) -> None:
    """Not by a hair, whoever leads and whatever it does."""
    band = Band(choice)
    perform(band, script)
    band.go(2)
    assert band.beats == sorted(band.beats)


@given(scripts, st.sampled_from(["link", "host"]))
def test_a_host_that_plays_on_steadily_is_found_again(script: list, who: Source) -> None:
    """Whatever happened: some beats later our place in the bar is the leader's."""
    band = Band()
    perform(band, [act for act in script if "metre" not in act[0] and act[0] != "loop"])
    for other in SOURCES:
        band.lines.pop(other, None)
    band.plays(who, beat=5.0).go(2)
    band.go(10)
    if band.source.leader == who:
        assert not band.source.lost
        assert abs(band.off_ms(band.lines[who])) < 2


@given(scripts)
def test_who_is_asked_when_to_look_again_names_a_time_to_come(script: list) -> None:
    """Nobody is kept from sleeping: after a check, the next one is later."""
    band = Band()
    perform(band, script)
    for _ in range(50):
        check_ns = band.source.next_check_ns
        if check_ns is None:
            return
        band.now_ns = max(band.now_ns, check_ns)
        band.source.check(band.now_ns)
        again_ns = band.source.next_check_ns
        assert again_ns is None or again_ns > band.now_ns


@given(scripts)
def test_bar_lines_rise(script: list) -> None:
    band = Band()
    perform(band, script)
    beats = [meter.beat for meter in band.source.meters]
    assert beats == sorted(set(beats))
    bar = bar_at(band.source.meters, band.beat)
    assert bar.start <= band.beat + 1e-6 < bar.end + 2e-6
