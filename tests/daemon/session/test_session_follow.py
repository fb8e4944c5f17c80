"""Follow mode: Segue plays along. Beats at 120 bpm."""

from musicians import PaperMind, Table, ons, pitch_of

from daemon.interface.events import Handover, StateChanged
from engine.protocol import Continue, Note


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


class Listener(PaperMind):
    """Remembers, of each request, which notes of Segue's own lay before it."""

    def __init__(self, text: str, **how: float) -> None:
        super().__init__(text, plays=self._listen, **how)
        self.own: list[tuple[float, list[float]]] = []

    def _listen(self, request: Continue) -> list[Note]:
        mine = sorted(note.onset for note in self.known.values() if note.pitch >= pitch_of("C5"))
        self.own.append((request.from_beat, mine))
        return self._same_again(request)


def test_a_newer_draft_knows_what_the_older_one_plays_until_then() -> None:
    """At beat 6 the draft from 7 on is asked for, and the off-beat of 6 has yet to sound."""
    mind = Listener("- C5", step=0.5, hold=0.25)
    table = Table(mind=mind, mode="follow")
    table.play("C4 C4 C4 C4", beat=0)
    table.play("C4", beat=5.5)
    heard = ons(table.until(beat=8.5))
    (from_beat, own) = next(asked for asked in mind.own if asked[0] == 7.0)
    assert own == [beat for beat, _ in heard if beat < from_beat]
    assert own[-1] == 6.5


def test_what_was_told_beforehand_is_remembered_once_when_it_is_played() -> None:
    mind = Listener("C5", step=0.5, hold=0.25)
    table = Table(mind=mind, mode="follow")
    table.play("C4 C4 C4 C4 " * 4, beat=0)
    heard = [beat for beat, _ in ons(table.until(beat=30))]
    told = sorted(note.onset for note in mind.known.values() if note.pitch == pitch_of("C5"))
    assert told == heard


def test_what_was_told_beforehand_and_is_not_played_is_taken_back() -> None:
    mind = Listener("- C5", step=0.5, hold=0.25)
    table = Table(mind=mind, mode="follow")
    table.play("C4 C4 C4 C4", beat=0)
    table.play("C4", beat=5.5)
    table.command("panic", beat=6.2)
    heard = [beat for beat, _ in ons(table.until(beat=12))]
    assert any(own and own[-1] == 6.5 for _, own in mind.own)
    assert 6.5 not in heard
    told = [note.onset for note in mind.known.values() if note.pitch == pitch_of("C5")]
    assert sorted(told) == heard


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
