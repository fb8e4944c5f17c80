"""Follow mode: Segue plays along. Beats at 120 bpm."""

from musicians import PaperMind, Table, ons

from daemon.interface.events import Handover, StateChanged
from engine.protocol import Continue


def spans(asked: list[Continue]) -> list[tuple[float, float]]:
    return [(request.from_beat, request.until_beat) for request in asked]


def test_a_bar_after_the_player_segue_plays_along_until_the_player_has_gone() -> None:
    table = Table(mind=PaperMind("C5"), mode="follow")
    table.play("C4 D4 E4 F4 " * 4, beat=0)
    heard = ons(table.until(beat=40))
    assert heard[0] == (4.0, "C5")
    assert heard[-1] == (19.0, "C5"), "the bar in which it turned out that nobody plays any more"
    assert [beat for beat, _ in heard] == [float(beat) for beat in range(4, 20)]
    assert [(turn.voice, turn.beat) for turn in table.told(Handover)] == [
        ("segue", 4.0),
        ("player", 20.0),
    ]
    assert table.told(StateChanged)[-1].phase == "idle"


def test_what_was_played_is_answered_on_the_next_beat() -> None:
    mind = PaperMind("C5")
    table = Table(mind=mind, mode="follow")
    table.play("C4 C4 C4 C4", beat=0)
    table.play("C4", beat=5.5)
    table.until(beat=6.1)
    assert spans(mind.asked)[-1] == (7.0, 8.0)
    assert any(note.onset == 5.5 for note in mind.known.values())


def test_where_nothing_was_played_nothing_is_asked_again() -> None:
    mind = PaperMind("C5")
    table = Table(mind=mind, mode="follow")
    table.press("C4", beat=0)
    table.until(beat=12.5)
    assert spans(mind.asked) == [(4.0, 8.0), (8.0, 12.0), (12.0, 16.0)]


def test_a_player_who_only_struck_once_is_not_followed() -> None:
    table = Table(mind=PaperMind("C5"), mode="follow")
    table.play("C4", beat=0)
    assert table.until(beat=20) == []
    assert table.told(StateChanged)[-1].phase == "idle"


def test_without_a_mind_the_stand_in_plays_along() -> None:
    table = Table(mode="follow")
    table.play("C4 D4 E4 F4 " * 4, beat=0)
    heard = ons(table.until(beat=16))
    assert [beat for beat, _ in heard] == [float(beat) for beat in range(4, 16)]


def test_in_another_mode_it_stops_at_once() -> None:
    table = Table(mind=PaperMind("C5", hold=0.9), mode="follow")
    table.play("C4 D4 E4 F4 " * 4, beat=0)
    table.command("mode", "off", beat=6.5)
    assert table.until(beat=20)[-1] == (6.5, "off", "C5")
