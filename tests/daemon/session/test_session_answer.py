"""Answer mode: Segue speaks when the player has finished a phrase. Beats at 120 bpm."""

import pytest
from musicians import Heard, PaperMind, Table

from daemon.interface.events import Handover, StateChanged


def table_of(**settings: object) -> Table:
    return Table(mind=PaperMind("C5"), mode="answer", **settings)


def ons(heard: list[Heard]) -> list[float]:
    return [beat for beat, what, _ in heard if what == "on"]


def test_after_two_beats_of_silence_segue_enters_on_the_next_beat() -> None:
    table = table_of(bars=1)
    table.play("C4 D4 E4", beat=0)  # the last key goes up at 2.5
    assert ons(table.until(beat=40)) == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    assert [(h.voice, h.beat) for h in table.told(Handover)] == [("segue", 5.0), ("player", 12.0)]


def test_or_on_the_next_bar_as_set() -> None:
    table = table_of(bars=1, enter="bar")
    table.play("C4 D4 E4", beat=0)
    assert ons(table.until(beat=40)) == [8.0, 9.0, 10.0, 11.0]


@pytest.mark.parametrize(("silence", "entry"), [(0.25, 4.0), (1.0, 4.0), (2.0, 5.0), (4.0, 7.0)])
def test_how_long_a_silence_ends_a_phrase(silence: float, entry: float) -> None:
    table = table_of(silence=silence)
    table.play("C4 D4 E4", beat=0)
    assert ons(table.until(beat=20))[0] == entry


def test_a_held_note_is_no_silence() -> None:
    table = table_of()
    table.play("C4", beat=0, hold=10.0)
    heard = ons(table.until(beat=20))
    assert heard[0] == 13.0


def test_under_the_pedal_the_phrase_ends_with_the_last_key() -> None:
    table = table_of()
    table.control(64, 127, beat=0)
    table.play("C4 D4 E4", beat=0)
    table.control(64, 0, beat=30)
    assert ons(table.until(beat=20))[0] == 5.0


def test_who_goes_on_before_the_entry_is_not_interrupted() -> None:
    """Silent from 0.5 on, cued at 2.5 for beat 3, and then the player plays on."""
    table = table_of()
    table.play("C4", beat=0)
    table.play("D4", beat=2.75)
    heard = ons(table.until(beat=20))
    assert heard[0] == 6.0
    assert table.told(StateChanged)[2].phase == "cued"


def test_segue_yields_when_the_player_comes_back() -> None:
    table = Table(mind=PaperMind("C5", hold=0.9), mode="answer")
    table.play("C4", beat=0)
    table.press("E4", beat=5.25)
    heard = table.until(beat=6)
    assert heard[-1] == (5.25, "off", "C5")
    table.release("E4", beat=6.25)
    assert table.until(beat=8.9) == []
    assert ons(table.until(beat=20))[0] == 9.0, "and answers again"


def test_or_ends_with_the_beat() -> None:
    table = Table(mind=PaperMind("C5", step=0.5, hold=0.9), mode="answer", give_way="beat")
    table.play("C4", beat=0)
    table.press("E4", beat=5.25)
    heard = table.until(beat=8)
    assert heard[-2:] == [(5.5, "on", "C5"), (6.0, "off", "C5")]
    assert table.told(Handover)[-1].beat == 6.0
    table.release("E4", beat=8.25)
    assert ons(table.until(beat=20))[0] == 11.0, "and answers again"


def test_or_plays_its_turn_out() -> None:
    table = Table(mind=PaperMind("C5"), mode="answer", give_way="along", bars=1)
    table.play("C4", beat=0)
    table.play("E4", beat=5.25)
    assert ons(table.until(beat=8)) == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert table.told(Handover)[-1].beat == 8.0


def test_who_is_early_on_his_next_bar_does_not_interrupt() -> None:
    table = Table(mind=PaperMind("C5"), mode="answer", bars=1)
    table.play("C4", beat=0)
    table.press("E4", beat=7.8)
    assert ons(table.until(beat=12)) == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert table.told(Handover)[-1].beat == 8.0


def test_a_player_without_rests_is_answered_sooner() -> None:
    """Legato: half of the two beats that are set, and on to the next beat."""
    table = table_of(bars=1)
    table.play("C4 D4 E4 F4 G4 F4 E4 D4 C4", beat=0, hold=1.0)
    assert ons(table.until(beat=20))[0] == 11.0


def test_a_player_who_leaves_holes_is_left_to_finish() -> None:
    """Rests of a beat and three quarters: one and a half times that ends the phrase."""
    table = table_of(bars=1)
    table.play("C4 D4 E4 F4 G4 F4 E4 D4 C4", beat=0, step=2.0, hold=0.25)
    table.until(beat=16.25 + 2.5)
    assert table.told(StateChanged)[-1].phase == "listening"
    assert ons(table.until(beat=24))[0] == 20.0


def test_on_a_foot_switch() -> None:
    table = table_of(silence=32.0, bars=1)
    table.play("C4 D4 E4", beat=0)
    table.control(66, 100, beat=3.2)
    assert ons(table.until(beat=20)) == [4.0, 5.0, 6.0, 7.0]


def test_on_a_command() -> None:
    table = table_of(silence=32.0, bars=1)
    table.play("C4 D4 E4", beat=0)
    table.command("takeover", beat=3.2)
    assert ons(table.until(beat=20)) == [4.0, 5.0, 6.0, 7.0]


def test_after_its_answer_segue_waits_for_the_player() -> None:
    table = table_of(bars=1)
    table.play("C4", beat=0)
    table.until(beat=100)
    assert len(table.told(Handover)) == 2
    table.play("C4", beat=100)
    assert ons(table.until(beat=110))[-1] >= 103.0
    assert len(table.told(Handover)) == 4


def test_from_trade_to_answer_and_back() -> None:
    table = Table(mind=PaperMind("C5"), bars=1)
    table.play("C4", beat=0)
    table.command("mode", "answer", beat=5.5)
    table.play("C4", beat=9)
    table.command("mode", "trade", beat=13.5)
    table.play("C4", beat=17)
    heard = ons(table.until(beat=24))
    assert heard == [4.0, 5.0, 12.0, 13.0, 20.0, 21.0, 22.0, 23.0]


def test_to_choose_the_mode_that_is_set_disturbs_nothing() -> None:
    table = Table(mind=PaperMind("C5"), bars=1)
    table.play("C4", beat=0)
    table.command("mode", "trade", beat=5.5)
    assert ons(table.until(beat=9)) == [4.0, 5.0, 6.0, 7.0]


def test_who_plays_on_after_calling_segue_is_answered_all_the_same() -> None:
    """Called at 3.2 for beat 4, with one more key before it."""
    table = table_of(bars=1)
    table.play("C4 D4 E4", beat=0)
    table.command("takeover", beat=3.2)
    table.play("F4", beat=3.5)
    assert ons(table.until(beat=20))[0] == 4.0
