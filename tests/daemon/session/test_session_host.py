"""A host leads: start, stop, continue, song position and tempo in the middle of things."""

import pytest
from musicians import NS_PER_MS, START_NS, PaperMind, Table

from daemon.clock.transport import NS_PER_MINUTE
from daemon.interface.events import Handover, NoteEnded, ReleaseAll, StateChanged, TempoChanged
from engine.protocol import Note

TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
MS = 1 / 500  # of a beat at 120 bpm


def tick_ns(number: float, *, bpm: float = 120) -> int:
    return START_NS + round(number * NS_PER_MINUTE / bpm / 24)


def led_by_host(*, beats: float, bars: int = 1, text: str = "C5") -> Table:
    """A host starts at beat 0 of the table and plays so many beats at 120 bpm."""
    table = Table(mind=PaperMind(text, hold=0.9), clock="midi", bars=bars)
    table.host((START_NS - NS_PER_MS, START))
    table.host(*((tick_ns(number), TICK) for number in range(round(beats * 24))))
    table.play("C4", beat=0.25)
    return table


def test_the_answer_lies_on_the_hosts_line() -> None:
    table = led_by_host(beats=12)
    assert table.until(beat=8.5) == [
        (4.0, "on", "C5"),
        (4.9, "off", "C5"),
        (5.0, "on", "C5"),
        (5.9, "off", "C5"),
        (6.0, "on", "C5"),
        (6.9, "off", "C5"),
        (7.0, "on", "C5"),
        (7.9, "off", "C5"),
    ]


def test_what_is_played_before_the_host_starts_is_left_alone() -> None:
    table = Table(mind=PaperMind(), clock="midi")
    table.play("C4 D4", beat=0)
    assert table.until(beat=40) == []
    assert table.told(NoteEnded) == []


def test_what_the_hosts_track_plays_just_before_its_clock_starts_is_on_the_first_beat() -> None:
    table = Table(mind=PaperMind(), clock="midi")
    table.sends(-5 * MS, 0x90, 60, 80)
    table.host((START_NS, START))
    table.host(*((tick_ns(number), TICK) for number in range(48)))
    table.sends(0.5, 0x80, 60, 64)
    table.until(beat=1.5)
    assert [ended.note for ended in table.told(NoteEnded)] == [Note(0.0, 60, 0.5, 80)]


def test_and_so_it_is_when_the_host_goes_on_from_elsewhere() -> None:
    table = led_by_host(beats=5)
    table.host((tick_ns(5 * 24), STOP), (tick_ns(10 * 24) - NS_PER_MS, CONTINUE))
    table.sends(10 - 20 * MS, 0x90, 64, 80)
    table.host(*((tick_ns(number), TICK) for number in range(10 * 24, 11 * 24)))
    table.sends(10.5, 0x80, 64, 64)
    table.until(beat=10.9)
    (played,) = [ended.note for ended in table.told(NoteEnded) if ended.note.pitch == 64]
    assert (played.onset, played.duration) == pytest.approx((5.0, 0.5))


@pytest.mark.parametrize(("down_ms", "up_ms"), [(-200, 100), (-40, -10)])
def test_a_key_that_went_down_long_before_the_start_or_came_up_is_not_played(
    down_ms: int, up_ms: int
) -> None:
    table = Table(mind=PaperMind(), clock="midi")
    table.sends(down_ms * MS, 0x90, 60, 80)
    table.sends(up_ms * MS, 0x80, 60, 64)
    table.host((START_NS, START))
    table.host(*((tick_ns(number), TICK) for number in range(48)))
    table.until(beat=1.5)
    assert table.told(NoteEnded) == []


def test_nothing_sounds_after_stop() -> None:
    table = led_by_host(beats=5.5)
    table.host((tick_ns(5.5 * 24), STOP))
    assert table.until(beat=5.51)[-1] == (5.5, "off", "C5")
    assert table.until(beat=100) == []
    assert not table.sounding
    assert table.told(StateChanged)[-1].playing is False


def test_what_was_committed_when_the_host_stops_is_not_played() -> None:
    table = led_by_host(beats=5)
    table.host((tick_ns(5 * 24) - 10 * NS_PER_MS, STOP))
    assert [beat for beat, what, _ in table.until(beat=100) if what == "on"] == [4.0]


def test_the_players_notes_end_with_the_stop() -> None:
    table = led_by_host(beats=5)
    table.press("E4", beat=4.5)
    table.host((tick_ns(5 * 24), STOP))
    table.until(beat=6)
    ended = [note.note for note in table.told(NoteEnded) if note.voice == "player"]
    assert ended[-1] == Note(pytest.approx(4.5), 64, pytest.approx(0.5), 80)


def test_after_continue_the_player_begins_again_in_the_hosts_bars() -> None:
    """Stopped at beat 5.5, continued at beat 10 of the table: half a bar of 5 to 8 is left."""
    table = led_by_host(beats=5.5)
    table.host((tick_ns(5.5 * 24), STOP), (tick_ns(10 * 24) - 1, CONTINUE))
    table.host(*((tick_ns(10 * 24 + number), TICK) for number in range(12 * 24)))
    table.play("D4", beat=11)  # beat 6.5 of the music
    table.until(beat=22)
    begun = [handover for handover in table.told(Handover) if handover.voice == "segue"]
    assert [handover.beat for handover in begun] == [4.0, 8.0, 16.0]
    second_ns = begun[1].due_ns
    assert abs(second_ns - table.at.ns_at(12.5)) < 30 * NS_PER_MS  # stop is counted in ticks


def test_a_relocation_in_an_answer_silences_it_and_keeps_the_bars() -> None:
    """At beat 5.5 the host goes to the second beat of its bar 9: our next bar, second beat."""
    table = led_by_host(beats=5.5)
    table.host((tick_ns(5.5 * 24) - 1, b"\xf2\x04\x01"))  # 33 bars and a beat, in sixteenths
    table.host(*((tick_ns(5.5 * 24 + number), TICK) for number in range(12 * 24)))
    table.play("D4", beat=6)
    heard = table.until(beat=16)
    # Beat 5.5 of the table is beat 9 of the music; the bar that begins on 12 is Segue's.
    strikes = [beat for beat, what, _ in heard if what == "on"]
    assert strikes == [4.0, 5.0, *(beat - 3.5 for beat in (12.0, 13.0, 14.0, 15.0))]
    assert (5.5, "off", "C5") in heard


def test_the_hosts_tempo_is_followed_in_an_answer() -> None:
    table = led_by_host(beats=5)
    change = 5 * 24
    slow_ns = NS_PER_MINUTE / 100 / 24
    table.host(*((tick_ns(change) + round(slow_ns * number), TICK) for number in range(8 * 24)))
    table.until_ns(tick_ns(change) + round(slow_ns * 24 * 6))
    dues = [sent.due_ns for sent in table.sent if sent.message[0] == 0x90]
    on_the_hosts_grid = [
        *(tick_ns(beat * 24) for beat in (4, 5)),
        *(tick_ns(change) + round(slow_ns * 24 * (beat - 5)) for beat in (6, 7)),
    ]
    late_ms = [(due - grid) / NS_PER_MS for due, grid in zip(dues, on_the_hosts_grid, strict=True)]
    assert late_ms[:2] == [0.0, 0.0]
    assert abs(late_ms[2]) < 10, "the loop has had a beat to settle in the new tempo"
    assert abs(late_ms[3]) < 2, "and another one"
    assert table.told(TempoChanged)[-1].bpm == pytest.approx(100, rel=0.006)


def test_a_clock_that_is_heard_first_in_an_answer_ends_it() -> None:
    table = Table(mind=PaperMind("C5", hold=0.9), bars=1)
    table.play("C4", beat=0)
    table.host((table.at.ns_at(5.25), START))
    heard = table.until(beat=20)
    assert heard[-1] == (5.25, "off", "C5")
    assert table.told(ReleaseAll)


def test_a_jittering_clock_does_not_flood_those_who_listen() -> None:
    """A state for each tempo that is news, and not for each tick."""
    table = Table(mind=None, clock="midi")
    table.host((START_NS - NS_PER_MS, START))
    off_ms = (0, 1, -1, 0.5, -0.5, 1, 0, -1)
    table.host(*((tick_ns(n) + round(off_ms[n % 8] * NS_PER_MS), TICK) for n in range(32 * 24)))
    table.until(beat=32)
    assert len(table.told(TempoChanged)) < 20
    assert len(table.told(StateChanged)) <= len(table.told(TempoChanged)) + 1
