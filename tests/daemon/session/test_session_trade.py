"""Trading bars: the player has four, Segue has four. Times are beats at 120 bpm."""

import pytest
from musicians import START_NS, PaperMind, Table, ons, pitch_of, tune

from daemon.interface.events import (
    Cut,
    Handover,
    NoteEnded,
    NoteStarted,
    Planned,
    StateChanged,
    TakeMarked,
    TempoChanged,
)
from engine.protocol import Note

BEAT_NS = 500_000_000
FOUR_BARS = "C4 D4 E4 F4 " * 4


def as_ons(text: str, *, beat: float, step: float = 1.0) -> list[tuple[float, str]]:
    """What `ons` gives for a tune."""
    names = text.split()
    return [(beat + i * step, name) for i, name in enumerate(names) if name != "-"]


def test_four_bars_are_answered_with_four_bars_on_the_line() -> None:
    table = Table(mind=PaperMind("C5 D5 E5 G5"))
    table.play(FOUR_BARS, beat=0)
    assert table.until(beat=16) == []
    assert table.until(beat=18) == [
        (16.0, "on", "C5"),
        (16.5, "off", "C5"),
        (17.0, "on", "D5"),
        (17.5, "off", "D5"),
    ]
    assert ons(table.until(beat=48)) == as_ons("E5 G5 " + "C5 D5 E5 G5 " * 3, beat=18)
    assert not table.sounding


def test_every_note_leaves_at_its_very_nanosecond() -> None:
    table = Table(mind=PaperMind(step=0.25, hold=0.25))
    table.play(FOUR_BARS, beat=0)
    table.until(beat=40)
    strikes = [sent for sent in table.sent if sent.message[0] == 0x90]
    assert [sent.due_ns for sent in strikes] == [
        START_NS + 16 * BEAT_NS + step * BEAT_NS // 4 for step in range(64)
    ]
    assert all(sent.sent_ns == sent.due_ns for sent in table.sent)


def test_turns_go_round() -> None:
    table = Table(mind=PaperMind())
    for round_ in range(3):
        table.play(FOUR_BARS, beat=32 * round_)
    table.until(beat=100)
    assert [(handover.voice, handover.beat) for handover in table.told(Handover)] == [
        ("segue", 16.0),
        ("player", 32.0),
        ("segue", 48.0),
        ("player", 64.0),
        ("segue", 80.0),
        ("player", 96.0),
    ]
    assert table.told(Handover)[0].due_ns == START_NS + 16 * BEAT_NS


def test_the_draft_is_asked_for_a_beat_before_the_line() -> None:
    mind = PaperMind()
    table = Table(mind=mind)
    table.play("C4 D4", beat=0)
    table.until(beat=14.99)
    assert mind.asked == []
    table.until(beat=15.01)
    assert [(asked.from_beat, asked.until_beat) for asked in mind.asked] == [(16.0, 32.0)]
    assert sorted(mind.known.values()) == tune("C4 D4")


def test_a_fast_tempo_leaves_the_mind_as_much_time() -> None:
    mind = PaperMind()
    table = Table(mind=mind, bpm=400.0)
    table.play("C4", beat=0)
    table.until(beat=16 - 0.41 * 400 / 60)
    assert mind.asked == []
    table.until(beat=16 - 0.39 * 400 / 60)
    assert len(mind.asked) == 1


def test_a_held_note_that_ends_before_the_line_is_drafted_for_again() -> None:
    mind = PaperMind()
    table = Table(mind=mind)
    table.play("C4", beat=0)
    table.press("E4", beat=12)
    table.release("E4", beat=15.5)
    table.until(beat=15.4)
    assert [asked.epoch for asked in mind.asked] == [1]
    assert Note(12.0, pitch_of("E4"), 4.0, 80) in mind.known.values(), "as if it were held"
    table.until(beat=15.6)
    assert [asked.epoch for asked in mind.asked] == [1, 2]
    assert Note(12.0, pitch_of("E4"), 3.5, 80) in mind.known.values()
    assert ons(table.until(beat=17)) == [(16.0, "C5")]


def test_just_before_the_line_the_draft_that_is_there_is_kept() -> None:
    mind = PaperMind()
    table = Table(mind=mind)
    table.play("C4", beat=0)
    table.play("E4", beat=15.8, hold=0.1)
    assert ons(table.until(beat=17)) == [(16.0, "C5")]
    assert len(mind.asked) == 1


def test_a_note_held_over_the_line_ends_as_the_player_ends_it() -> None:
    table = Table(mind=PaperMind())
    table.press("C4", beat=0)
    table.release("C4", beat=18)
    assert ons(table.until(beat=18)) == [(16.0, "C5"), (17.0, "D5")]
    table.until(beat=19)
    assert NoteEnded("player", Note(0.0, 60, 18.0, 80)) in table.told(NoteEnded)


def test_segues_own_notes_are_part_of_what_goes_on() -> None:
    mind = PaperMind("C5")
    table = Table(mind=mind, bars=1)
    table.play("C4 D4", beat=0)
    table.until(beat=14)
    expected = [*tune("C4 D4"), *tune("C5 C5 C5 C5", beat=4)]
    assert sorted(mind.known.values()) == expected


def test_the_last_notes_ring_out_over_the_line() -> None:
    table = Table(mind=PaperMind("- - - C5", hold=2.0), bars=1)
    table.play("C4", beat=0)
    assert table.until(beat=12) == [(7.0, "on", "C5"), (9.0, "off", "C5")]


@pytest.mark.parametrize(
    ("meter", "bars", "entry", "exit_"),
    [((3, 4), 4, 12.0, 24.0), ((6, 8), 4, 12.0, 24.0), ((5, 4), 2, 10.0, 20.0), ((7, 8), 2, 7, 14)],
)
def test_other_meters(meter: tuple[int, int], bars: int, entry: float, exit_: float) -> None:
    table = Table(mind=PaperMind(), meter=meter, bars=bars)
    table.play("C4 D4 E4", beat=0)
    heard = ons(table.until(beat=exit_ + 4))
    assert heard[0] == (entry, "C5")
    assert heard[-1][0] == exit_ - 1
    assert len(heard) == exit_ - entry


def test_another_length_of_turn_counts_from_the_next_turn_that_is_planned() -> None:
    table = Table(mind=PaperMind())
    table.play("C4", beat=0)
    table.command("bars", 2, beat=4)
    table.play("C4", beat=36)
    table.until(beat=60)
    assert [handover.beat for handover in table.told(Handover)] == [16.0, 32.0, 40.0, 48.0, 56.0]


def test_a_player_who_rests_for_a_turn_is_traded_with_all_the_same() -> None:
    table = Table(mind=PaperMind(), bars=1)
    table.play("C4", beat=0)
    table.play("C4", beat=16)
    table.until(beat=23)
    lines = [handover.beat for handover in table.told(Handover)]
    assert lines == [4.0, 8.0, 12.0, 16.0, 20.0]


def test_but_segue_does_not_trade_with_itself_for_ever() -> None:
    table = Table(mind=PaperMind(), bars=1)
    table.play("C4", beat=0)
    table.until(beat=40)
    lines = [handover.beat for handover in table.told(Handover)]
    assert lines == [4.0, 8.0, 12.0, 16.0]
    table.play("C4", beat=41)
    table.until(beat=46)
    assert [handover.beat for handover in table.told(Handover)][4:] == [44.0]


def test_another_tempo_in_an_answer() -> None:
    """At beat 20 the music goes at half the tempo; what was committed stays."""
    table = Table(mind=PaperMind())
    table.play("C4", beat=0)
    table.command("bpm", 60.0, beat=20.25)
    table.until(beat=30)
    change_ns = START_NS + round(20.25 * BEAT_NS)
    dues = [sent.due_ns for sent in table.sent if sent.message[0] == 0x90]
    assert dues[3:7] == [
        START_NS + 19 * BEAT_NS,
        START_NS + 20 * BEAT_NS,
        change_ns + 3 * BEAT_NS // 2,
        change_ns + 7 * BEAT_NS // 2,
    ]
    assert table.told(TempoChanged) == [TempoChanged(0.0, 120.0), TempoChanged(20.25, 60.0)]


def test_a_take_over_before_the_line_and_a_hand_back() -> None:
    table = Table(mind=PaperMind(), bars=1)
    table.play("C4 D4", beat=0)
    table.command("takeover", beat=1.5)
    table.command("handback", beat=3.25)
    assert table.until(beat=20) == [
        (2.0, "on", "C5"),
        (2.5, "off", "C5"),
        (3.0, "on", "D5"),
        (3.25, "off", "D5"),
    ]
    assert [(h.voice, h.beat) for h in table.told(Handover)] == [("segue", 2.0), ("player", 3.25)]


def test_after_a_hand_back_the_bars_count_from_the_next_note() -> None:
    table = Table(mind=PaperMind(), bars=1)
    table.play("C4", beat=0)
    table.command("handback", beat=5)
    table.play("C4", beat=9)
    table.until(beat=17)
    assert [h.beat for h in table.told(Handover)] == [4.0, 5.0, 12.0, 16.0]


def test_the_foot_switch_takes_over_and_hands_back() -> None:
    table = Table(mind=PaperMind("C5", hold=0.9), mode="off")
    table.play("C4 D4", beat=0)
    table.control(66, 127, beat=1.2)
    table.control(66, 0, beat=1.4)
    table.control(66, 127, beat=4.25)
    assert ons(table.until(beat=20)) == [(2.0, "C5"), (3.0, "C5"), (4.0, "C5")]
    assert table.sent[-1].sent_ns == START_NS + round(4.25 * BEAT_NS)


def test_a_take_over_that_cannot_meet_the_next_beat_takes_the_one_after() -> None:
    table = Table(mind=PaperMind(), mode="off", bars=1)
    table.play("C4 D4", beat=0)
    table.command("takeover", beat=1.9)
    assert ons(table.until(beat=4))[0] == (3.0, "C5")


def test_off_only_listens() -> None:
    table = Table(mind=PaperMind(), mode="off")
    table.play(FOUR_BARS, beat=0)
    assert table.until(beat=64) == []
    assert table.mind is not None
    assert len(table.mind.known) == 16


@pytest.mark.parametrize("command", [("panic",), ("mode", "off"), ("mode", "answer")])
def test_what_ends_an_answer_ends_every_note_at_once(command: tuple[str, ...]) -> None:
    table = Table(mind=PaperMind("C5", hold=4.0))
    table.play("C4", beat=0)
    table.press("E4", beat=18)
    table.command(*command, beat=20.3)
    assert table.until(beat=20.2)[-1] == (20.0, "on", "C5")
    assert table.sounding == {"C5"}
    assert table.until(beat=40) == [(20.3, "off", "C5")]
    assert table.told(StateChanged)[-1].phase == "idle"


def test_panic_ends_the_players_notes_too() -> None:
    table = Table()
    table.press("C4", beat=0)
    table.command("panic", beat=2)
    table.until(beat=3)
    assert table.told(NoteEnded) == [NoteEnded("player", Note(0.0, 60, 2.0, 80))]


def test_takes_are_marked_where_they_are() -> None:
    table = Table()
    table.play("C4", beat=0)
    table.command("take/record", beat=2)
    table.command("take/stop", beat=6)
    table.until(beat=8)
    assert table.told(TakeMarked) == [TakeMarked(2.0, True), TakeMarked(6.0, False)]


def test_what_is_told_to_those_who_listen() -> None:
    table = Table(mind=PaperMind("C5"), bars=1)
    table.play("C4", beat=0)
    table.until(beat=10)
    assert [started.voice for started in table.told(NoteStarted)] == ["player"] + ["segue"] * 4
    assert [ended.voice for ended in table.told(NoteEnded)] == ["player"] + ["segue"] * 4
    assert [planned.note.onset for planned in table.told(Planned)] == [4.0, 5.0, 6.0, 7.0]
    assert table.told(Cut) == []
    phases = [state.phase for state in table.told(StateChanged)]
    assert phases == ["idle", "listening", "cued", "answering", "listening"]
    assert [state.mind for state in table.told(StateChanged)] == ["ready"] * 5
