"""From a journal to a take, and what it says about how well in time it was."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from musicians import NS_PER_MS, START_NS, PaperMind, Table, tune

from daemon.interface.config import SessionConfig
from daemon.interface.events import Handover, TakeMarked
from daemon.take.journal import Journal, Sent
from daemon.take.report import handover_lateness_ms, hanging_notes, percentiles, report_of, summary
from daemon.take.take import Take, differences, lateness_ns, parts, take_of
from engine.protocol import Finished, Meter, Note

BEAT_NS = 500_000_000


def traded(*, mind: bool = True, until: float = 20) -> Table:
    """One bar each, twice; a tempo change in the second round."""
    table = Table(mind=PaperMind("C5") if mind else None, bars=1)
    table.play("C4 D4 E4 F4", beat=0)
    table.play("G4 F4 E4 D4", beat=8)
    table.command("bpm", 60.0, beat=18)
    table.until(beat=until)
    return table


def late(table: Table, *, ms: float) -> Journal:
    """The journal as if everything had left so much later."""
    journal = table.journal()
    sent = tuple(replace(one, sent_ns=one.sent_ns + round(ms * NS_PER_MS)) for one in journal.sent)
    return replace(journal, sent=sent)


EMPTY = Journal(SessionConfig(), "now", (), (), True)


def test_a_take_has_who_played_what() -> None:
    take = take_of(traded().journal())
    assert list(take.player) == [*tune("C4 D4 E4 F4"), *tune("G4 F4 E4 D4", beat=8)]
    assert list(take.segue) == tune("C5 " * 4, beat=4) + tune("C5 " * 4, beat=12)
    assert take.tempos == ((0.0, 120.0), (18.0, 60.0))
    assert take.meters == (Meter(0.0, 4, 4),)
    assert [(h.voice, h.beat) for h in take.handovers] == [
        ("segue", 4.0),
        ("player", 8.0),
        ("segue", 12.0),
        ("player", 16.0),
    ]
    assert (take.cut, take.mind_restarts) == (0, 0)
    assert len(take.costs) == 4, "each answer was drafted again when the last key went up"


def test_the_same_journal_makes_the_same_take() -> None:
    journal = traded().journal()
    assert take_of(journal) == take_of(journal)


def test_what_sounded_when_it_broke_off_ends_there() -> None:
    table = Table()
    table.press("C4", beat=0)
    table.command("state", beat=3)
    table.until(beat=4)
    assert take_of(table.journal()).player == (Note(0.0, 60, 3.0, 80),)


def test_a_mind_that_was_lost_is_counted() -> None:
    table = Table(mind=PaperMind())
    table.mind_dies(beat=1)
    table.mind_returns(beat=2)
    table.until(beat=3)
    assert take_of(table.journal()).mind_restarts == 1


# The same again.


@pytest.mark.parametrize("mind", [True, False])
def test_a_replay_sends_what_was_sent(mind: bool) -> None:
    assert differences(traded(mind=mind).journal()) == []


def test_a_replay_of_a_session_that_was_cut_off_anywhere() -> None:
    """Also in the middle of an answer, with notes committed that were never sent."""
    for tenth in range(1, 200, 7):
        assert differences(traded(until=tenth / 10).journal()) == []


@given(st.data())
def test_a_note_that_was_taken_out_of_the_outbox_is_found(data: st.DataObject) -> None:
    journal = traded().journal()
    strikes = [sent for sent in journal.sent if sent.message[0] == 0x90]
    gone = data.draw(st.sampled_from(strikes))
    sent = tuple(one for one in journal.sent if one != gone)
    assert differences(replace(journal, sent=sent)) == [
        f"not sent at the time: 90 48 50 at {gone.due_ns} ns"
    ]


def test_a_note_that_was_put_into_the_outbox_is_found() -> None:
    journal = traded().journal()
    added = Sent(START_NS, START_NS, b"\x90\x01\x50")
    assert differences(replace(journal, sent=(added, *journal.sent))) == [
        f"not sent by the replay: 90 01 50 at {START_NS} ns"
    ]


def test_a_note_that_was_moved_is_found_twice() -> None:
    journal = traded().journal()
    first, *others = journal.sent
    moved = replace(first, due_ns=first.due_ns + 1)
    assert len(differences(replace(journal, sent=(moved, *others)))) == 2


def test_what_was_silenced_may_have_been_sent_or_not() -> None:
    """Handed back 10 ms before a note: whether it left is the output thread's to know."""
    table = Table(mind=PaperMind("C5"), bars=1)
    table.play("C4", beat=0)
    table.command("handback", beat=5 - 0.02)
    table.until(beat=8)
    journal = table.journal()
    assert differences(journal) == []
    line_ns = START_NS + 5 * BEAT_NS
    left = Sent(line_ns, line_ns, b"\x90\x48\x50")
    assert differences(replace(journal, sent=(*journal.sent, left))) == []


# Parts.


def marked(*marks: tuple[float, bool]) -> Take:
    return replace(
        take_of(traded().journal()), marks=tuple(TakeMarked(beat, on) for beat, on in marks)
    )


def test_without_marks_the_whole_session_is_the_take() -> None:
    take = marked()
    assert parts(take) == [take]


def test_a_marked_take_begins_on_the_bar_line_before_it() -> None:
    (part,) = parts(marked((5.0, True), (14.0, False)))
    assert [note.onset for note in part.segue] == [1.0, 2.0, 3.0, 8.0, 9.0]
    assert [note.onset for note in part.player] == [4.0, 5.0, 6.0, 7.0]
    assert [(h.voice, h.beat) for h in part.handovers] == [("player", 4.0), ("segue", 8.0)]
    assert part.tempos == ((0.0, 120.0),)
    assert part.marks == ()


def test_tempo_changes_move_with_the_take() -> None:
    (part,) = parts(marked((16.0, True)))
    assert part.tempos == ((0.0, 120.0), (2.0, 60.0))


def test_metres_move_with_the_take() -> None:
    take = marked((9.0, True))
    waltz = (Meter(0.0, 4, 4), Meter(8.0, 3, 4), Meter(14.0, 5, 4))
    (part,) = parts(replace(take, meters=waltz))
    assert part.meters == (Meter(0.0, 3, 4), Meter(6.0, 5, 4))


@pytest.mark.parametrize(
    ("marks", "onsets"),
    [
        ([(0.0, True), (2.0, False)], [[0.0, 1.0]]),
        ([(0.0, True), (2.0, False), (8.0, True), (10.0, False)], [[0.0, 1.0], [0.0, 1.0]]),
        ([(0.0, True), (8.0, True), (10.0, False)], [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0]]),
        ([(8.0, True)], [[0.0, 1.0, 2.0, 3.0]]),
    ],
)
def test_which_parts_there_are(marks: list[tuple[float, bool]], onsets: list[list[float]]) -> None:
    found = [[note.onset for note in part.player] for part in parts(marked(*marks))]
    assert found == onsets


def test_a_stop_without_a_record_marks_nothing() -> None:
    take = marked((3.0, False))
    assert parts(take) == [take]


# Figures.


@pytest.mark.parametrize(
    ("values", "point", "expected"),
    [
        ([], 50, None),
        ([7.0], 50, 7.0),
        ([7.0], 99, 7.0),
        ([1.0, 2.0], 50, 1.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        (list(map(float, range(1, 101))), 50, 50.0),
        (list(map(float, range(1, 101))), 99, 99.0),
        (list(map(float, range(1, 101))), 99.9, 100.0),
        (list(map(float, range(1, 101))), 100, 100.0),
        (list(map(float, range(1, 101))), 0, 1.0),
    ],
)
def test_percentiles_are_values_that_were_measured(
    values: list[float], point: float, expected: float | None
) -> None:
    (found,) = percentiles(values, point).values()
    assert found == expected


def test_names_of_percentiles() -> None:
    assert list(percentiles([1.0], 50, 99, 99.9)) == ["p50", "p99", "p999"]


def test_a_report_of_nothing_invents_no_figure() -> None:
    report = report_of(take_of(EMPTY), EMPTY)
    none = {"p50": None, "p95": None, "p99": None}
    assert report["in_time_rate"] is None
    assert report["cache_hit_rate"] is None
    assert report["token_ms"] == report["note_ms"] == report["late_ms"] == none
    assert report["handover_late_ms"] == {"p50": None, "p99": None}
    assert report["notes_in"] == report["notes_out"] == report["handovers"] == 0
    assert "in time -" in summary(report)


def test_a_report() -> None:
    table = traded()
    report = report_of(take_of(table.journal()), late(table, ms=1.5))
    assert report["notes_in"] == report["notes_out"] == 8
    assert report["handovers"] == 2
    assert report["in_time_rate"] == 1.0
    assert report["late_ms"] == {"p50": 1.5, "p95": 1.5, "p99": 1.5}
    assert report["handover_late_ms"] == {"p50": 1.5, "p99": 1.5}
    assert report["token_ms"]["p50"] == 4.0
    assert report["cache_hit_rate"] == 0.9
    assert (report["hanging_notes"], report["mind_restarts"], report["seed"]) == (0, 0, 0)
    assert "in time 100.0%" in summary(report)


def test_late_notes_and_cut_notes_are_not_in_time() -> None:
    table = traded()
    journal, take = table.journal(), take_of(table.journal())
    first, *others = [sent for sent in journal.sent if sent.message[0] == 0x90]
    tardy = replace(first, sent_ns=first.due_ns + 6 * NS_PER_MS)
    assert report_of(take, replace(journal, sent=(tardy, *others)))["in_time_rate"] == 7 / 8
    assert report_of(replace(take, cut=8), journal)["in_time_rate"] == 8 / 16


def test_lateness_is_that_of_attacks() -> None:
    assert lateness_ns([Sent(10, 15, b"\x90\x3c\x50"), Sent(20, 99, b"\x80\x3c\x00")]) == [5]


def test_a_silent_turn_is_late_by_its_whole_length() -> None:
    table = traded()
    journal, take = table.journal(), take_of(table.journal())
    last_turn = tuple(sent for sent in journal.sent if sent.due_ns > START_NS + 10 * BEAT_NS)
    assert handover_lateness_ms(take, replace(journal, sent=last_turn)) == [2000.0, 0.0]


def test_a_turn_that_was_withdrawn_before_its_line_is_none() -> None:
    take = replace(
        take_of(EMPTY), handovers=(Handover("segue", 4.0, 1000), Handover("player", 3.9, 900))
    )
    assert handover_lateness_ms(take, EMPTY) == []
    assert report_of(take, EMPTY)["handovers"] == 0


def test_a_relocation_ends_a_turn_when_it_happened() -> None:
    table = Table(mind=PaperMind("C5"), clock="midi", bars=1)
    ticks = [START_NS + round(n * BEAT_NS / 24) for n in range(8 * 24)]
    table.host((START_NS - 1, b"\xfa"), *((t_ns, b"\xf8") for t_ns in ticks))
    table.host((ticks[5 * 24] + 1, b"\xf2\x21\x00"))
    table.play("C4", beat=0.5)
    table.until(beat=8)
    segue, player = take_of(table.journal()).handovers
    assert segue.due_ns == START_NS + 4 * BEAT_NS
    assert player.due_ns == ticks[5 * 24 + 1]


def test_a_turn_that_goes_on_when_the_journal_ends_is_late_only_if_it_was() -> None:
    table = traded(until=14)
    assert handover_lateness_ms(take_of(table.journal()), table.journal()) == [0.0, 0.0]


def test_hanging_notes() -> None:
    on, off = Sent(0, 0, b"\x90\x3c\x50"), Sent(0, 0, b"\x80\x3c\x00")
    zero = Sent(0, 0, b"\x90\x3c\x00")
    other = Sent(0, 0, b"\x91\x3c\x50")
    for sent, hanging in (
        ((), 0),
        ((on,), 1),
        ((on, off), 0),
        ((on, zero), 0),
        ((on, other, off), 1),
        ((off, on), 1),
        ((Sent(0, 0, b"\xf8"),), 0),
    ):
        assert hanging_notes(replace(EMPTY, sent=sent)) == hanging


def test_figures_of_the_mind_come_from_what_it_said() -> None:
    take = replace(take_of(EMPTY), costs=(Finished(1, False, 100, 50, (1.0, 2.0, 3.0), (9.0,)),))
    report = report_of(take, EMPTY)
    assert report["token_ms"] == {"p50": 2.0, "p95": 3.0, "p99": 3.0}
    assert report["cache_hit_rate"] == 0.5
