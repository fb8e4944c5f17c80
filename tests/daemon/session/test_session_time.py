"""A host that says where it is, in the middle of things: loops, leaps, silence, other metres."""

from collections.abc import Callable
from pathlib import Path

import pytest
from musicians import NS_PER_MS, START_NS, PaperMind, Table, ons

from daemon.clock.transport import Transport
from daemon.interface.events import (
    CommandIn,
    Entry,
    Handover,
    HostIn,
    MidiIn,
    NoteEnded,
    Noticed,
    Tell,
)
from daemon.take.journal import JournalWriter, read_journal
from daemon.take.take import differences
from engine.protocol import Meter, Prompt

#: What a host says at a time, as an entry of the inbox.
Says = Callable[[int, bool, float, float], Entry]


def over_osc(t_ns: int, playing: bool, beat: float, bpm: float) -> CommandIn:
    return CommandIn(t_ns, "host/transport", (int(playing), beat, bpm))


def over_link(t_ns: int, playing: bool, beat: float, bpm: float) -> HostIn:
    return HostIn(t_ns, "link", playing, beat, bpm)


both = pytest.mark.parametrize("says", [over_osc, over_link])


def reports(
    table: Table, says: Says, line: Transport, *, beats: tuple[float, float], every: float = 1 / 16
) -> None:
    """The host says where it is along `line`, from one of the table's beats to another."""
    count = round((beats[1] - beats[0]) / every)
    for number in range(count):
        t_ns = table.at.ns_at(beats[0] + number * every)
        table.comes(t_ns, says(t_ns, True, line.beat_at(t_ns), line.bpm))


def line_at(table: Table, beat: float, *, is_: float, bpm: float = 120.0) -> Transport:
    """The host is at its beat `is_` at the table's `beat`."""
    return Transport(table.at.ns_at(beat), is_, bpm, True)


def led(says: Says, *, until: float, mind: PaperMind | None = None, bars: int = 1) -> Table:
    """A host plays from its beat 32 on, which is beat 0 of the table; the player's bar is first."""
    table = Table(mind=mind or PaperMind("C5", hold=0.9), bars=bars)
    reports(table, says, line_at(table, 0, is_=32.0), beats=(0, until))
    table.play("C4 D4", beat=0.25)
    return table


@both
def test_the_answer_lies_on_the_hosts_line(says: Says) -> None:
    table = led(says, until=9)
    assert ons(table.until(beat=8.5)) == [(4.0, "C5"), (5.0, "C5"), (6.0, "C5"), (7.0, "C5")]


@both
def test_an_answer_plays_on_through_a_loop_over_whole_bars(says: Says) -> None:
    """At beat 6 of the table the host goes back by four bars, in the middle of Segue's bar."""
    table = led(says, until=6)
    reports(table, says, line_at(table, 6, is_=22.0), beats=(6, 12))
    assert ons(table.until(beat=8.5)) == [(4.0, "C5"), (5.0, "C5"), (6.0, "C5"), (7.0, "C5")]


def loop(table: Table, says: Says, *, over: float, beats: tuple[float, float]) -> None:
    """The host loops over so many beats from its beat 32 on, from one of the table's to another."""
    begins = beats[0]
    while begins < beats[1]:
        line = line_at(table, begins, is_=32.0)
        reports(table, says, line, beats=(begins, min(begins + over, beats[1])))
        begins += over


@both
@pytest.mark.parametrize("over", [1.0, 2.0, 3.0])
def test_an_answer_goes_on_through_a_loop_over_part_of_a_bar(says: Says, over: float) -> None:
    """From beat 4 on, where Segue enters, the host goes round in a part of its bar."""
    table = led(says, until=4)
    loop(table, says, over=over, beats=(4, 20))
    assert table.until(beat=8.5) == [
        (beat + later, what, "C5")
        for beat in (4.0, 5.0, 6.0, 7.0)
        for later, what in ((0, "on"), (0.9, "off"))
    ]


@both
def test_they_trade_while_the_host_goes_round_in_half_a_bar(says: Says) -> None:
    table = led(says, until=0)
    loop(table, says, over=2.0, beats=(0, 33))
    for begin in (8, 16, 24):
        table.play("C4 D4", beat=begin + 0.25)
    heard = [beat for beat, _ in ons(table.until(beat=32))]
    assert heard == [float(beat) for bar in (4, 12, 20, 28) for beat in range(bar, bar + 4)]


@both
def test_after_the_loop_the_next_answer_lies_on_the_hosts_line(says: Says) -> None:
    """At beat 7 of the table the host goes back by three: its bars begin on 7, 11 and 15 then.

    Segue, who plays from 4 on, goes on to the end; the player's next bar is a beat short.
    """
    table = led(says, until=7)
    reports(table, says, line_at(table, 7, is_=36.0), beats=(7, 30))
    table.play("C4 D4", beat=8.25)
    assert [beat for beat, _ in ons(table.until(beat=18))] == [4, 5, 6, 7, 11, 12, 13, 14]


@both
def test_an_answer_ends_where_the_host_goes_back_off_the_beat(says: Says) -> None:
    table = led(says, until=5.5)
    reports(table, says, line_at(table, 5.5, is_=32.2), beats=(5.5, 12))
    assert table.until(beat=5.7)[-1] == (5.5, "off", "C5")
    assert not table.sounding


@both
def test_an_answer_ends_where_the_host_leaps(says: Says) -> None:
    """At 5.99 the host goes on at its beat 41, the second of a bar: it is our beat 9."""
    table = led(says, until=5.99)
    reports(table, says, line_at(table, 5.99, is_=41.0), beats=(5.99, 12))
    assert ons(table.until(beat=11.99)) == [(4.0, "C5"), (5.0, "C5")], "the next was committed"
    assert table.session.beat_at(table.now_ns) == pytest.approx(15.0, abs=0.01)


@both
def test_a_host_that_falls_silent_in_an_answer_leaves_it_to_play_on(says: Says) -> None:
    table = led(says, until=5)
    table.play("C4 D4", beat=8.25)
    strikes = ons(table.until(beat=16.5))
    assert strikes == [(float(beat), "C5") for beat in (4, 5, 6, 7, 12, 13, 14, 15)]
    assert len(table.told(Noticed)) == 1
    reports(table, says, line_at(table, 17, is_=49.0), beats=(17, 20))
    table.until(beat=20)
    (_, back) = table.told(Noticed)
    assert back.text.endswith("is back")
    assert table.session.beat_at(table.now_ns) == pytest.approx(20.0, abs=0.01)


@both
def test_stop_silences_and_a_start_in_three_counts_in_three(says: Says) -> None:
    """The host stops at 5.5; its bars are in three from its beat 66, where it plays at beat 8."""
    table = led(says, until=5.5)
    stop_ns = table.at.ns_at(5.5)
    table.comes(stop_ns, says(stop_ns, False, 37.5, 120.0))
    assert table.until(beat=7)[-1] == (5.5, "off", "C5")
    for name, arguments in (("host/meter", (3, 4, 66.0)), ("meter", (3, 4))):
        table.command(name, *arguments, beat=7.5)
    reports(table, says, line_at(table, 8, is_=66.0), beats=(8, 20))
    table.play("E4", beat=8.5)
    strikes = ons(table.until(beat=14.5))
    assert [beat for beat, _ in strikes] == [11.0, 12.0, 13.0], "its bar in three"
    assert table.session.meters[-1] == Meter(8.0, 3, 4)


@pytest.mark.parametrize("metre", [(3, 4), (6, 8), (5, 4), (7, 8)])
def test_the_mind_is_told_of_another_metre(metre: tuple[int, int]) -> None:
    table = Table(mind=PaperMind("C5"), bars=1)
    table.play("C4 D4", beat=0)
    table.command("meter", *metre, beat=1.5)
    table.until(beat=3)
    prompts = [tell.value for tell in table.told(Tell) if isinstance(tell.value, Prompt)]
    assert prompts[-1].meters == (Meter(0.0, 4, 4), Meter(4.0, *metre))


def test_nothing_is_played_while_the_host_stands_still() -> None:
    table = Table(mind=PaperMind("C5"), bars=1)
    table.comes(START_NS - NS_PER_MS, over_osc(START_NS - NS_PER_MS, False, 0.0, 120.0))
    table.play("C4 D4 E4", beat=1)
    assert table.until(beat=16) == []
    assert table.told(NoteEnded) == []


def test_the_internal_clock_asks_nobody() -> None:
    table = Table(mind=PaperMind("C5"), clock="internal", bars=1)
    table.play("C4 D4", beat=0)
    reports(table, over_osc, line_at(table, 2, is_=7.3, bpm=90.0), beats=(2, 6))
    table.host((table.at.ns_at(3), b"\xfa"), (table.at.ns_at(3.1), b"\xf8"))
    assert [beat for beat, _ in ons(table.until(beat=8))] == [4.0, 5.0, 6.0, 7.0]


@both
def test_the_journal_plays_it_again_to_the_last_message(says: Says, tmp_path: Path) -> None:
    table = led(says, until=6)
    table.command("host/loop", 1, 16.0, 6.0, beat=6)
    reports(table, says, line_at(table, 6, is_=21.8), beats=(6, 12), every=0.25)
    table.command("meter", 3, 4, beat=9.7)
    table.play("E4 F4 G4", beat=12.1)
    table.until(beat=40)
    table.finish()
    path = tmp_path / "take.journal"
    with JournalWriter(path, session=table.config, started="now", trouble=print) as journal:
        for entry in table.entries:
            journal.took(entry)
        for sent in table.sent:
            journal.sent(sent)
    written = read_journal(path)
    assert written.entries == tuple(table.entries)
    assert any(isinstance(entry, MidiIn) for entry in written.entries)
    assert differences(written) == []
    assert table.told(Handover)
