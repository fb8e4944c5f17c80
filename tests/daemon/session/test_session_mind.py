"""A mind that is slow, silent, dies and comes back: the music goes on. Beats at 120 bpm."""

import pytest
from musicians import PaperMind, Table, ons, pitch_of

from daemon.interface.events import Cut, MindIn, Planned, StateChanged, Tell
from engine.protocol import Cancel, Continue, Drafted, Note, Prompt

PLAYED = "C4 D4 E4 F4 " * 4  # the stand-in has nothing but these
BEAT_MS = 500


def names(table: Table, start: float, end: float) -> list[str]:
    """What Segue strikes from `start` to before `end`."""
    table.until(beat=start)
    return [name for _, what, name in table.until(beat=end) if what == "on"]


def is_standin(name: str) -> bool:
    return name.endswith("4")


def test_without_a_mind_the_stand_in_plays_from_the_line() -> None:
    table = Table()
    table.play(PLAYED, beat=0)
    heard = table.until(beat=40)
    assert heard[0][:2] == (16.0, "on")
    strikes = [beat for beat, what, _ in heard if what == "on"]
    assert strikes == [float(beat) for beat in range(16, 32)]
    assert not table.sounding
    assert table.told(Tell) == []


def test_with_nothing_heard_there_is_nothing_to_say() -> None:
    """The host plays, the pedal is pressed, and nobody has played a note."""
    table = Table(mode="off")
    table.press("C4", beat=0)
    table.command("panic", beat=0.1)
    table.command("takeover", beat=1)
    table.until(beat=40)
    table.finish()


def test_the_stand_in_covers_for_a_slow_mind_until_it_has_caught_up() -> None:
    """Asked at beat 15, it has nothing before beat 17.9."""
    table = Table(mind=PaperMind("C5", first_ms=2.9 * BEAT_MS, note_ms=5))
    table.play("C4 D4 E4 F4 " * 3 + "C4 D4 E4", beat=0)
    assert all(map(is_standin, names(table, 16, 18)))
    assert names(table, 18, 32) == ["C5"] * 14
    late = [cut.note.onset for cut in table.told(Cut)]
    assert late == [16.0, 17.0], "what came too late was not played late"


def test_a_mind_slower_than_the_music_shares_it_with_the_stand_in() -> None:
    """A note each half beat of time, and a note each beat of music, but begun too late."""
    table = Table(mind=PaperMind("C5", first_ms=6 * BEAT_MS, note_ms=BEAT_MS / 2))
    table.play("C4 D4 E4 F4 " * 3 + "C4 D4 E4", beat=0)
    table.until(beat=16)
    struck = [(beat, name) for beat, what, name in table.until(beat=32) if what == "on"]
    assert struck[0][0] == 16.0
    first_of_mind = next(beat for beat, name in struck if not is_standin(name))
    assert all(is_standin(name) for beat, name in struck if beat < first_of_mind)
    assert names(table, 32, 33) == []
    after = [name for beat, name in struck if beat >= first_of_mind and not is_standin(name)]
    assert len(after) == 32 - first_of_mind


def test_a_mind_that_loads_during_the_answer_takes_over() -> None:
    table = Table(mind=PaperMind("C5"))
    table.mind_dies(beat=-2)
    table.play(PLAYED, beat=0)
    table.mind_returns(beat=20.1)
    assert all(map(is_standin, names(table, 16, 20)))
    assert set(names(table, 21, 32)) == {"C5"}
    assert table.mind is not None
    (request,) = table.mind.asked
    assert request.from_beat == 21.0, "on a line that it has the time to meet"
    assert request.until_beat == 32.0


def test_a_mind_that_dies_in_the_answer_and_comes_back() -> None:
    """When it dies it has drafted up to beat 21; back at 26.1, it is asked from 27 on."""
    table = Table(mind=PaperMind("C5", first_ms=0.2 * BEAT_MS, note_ms=0.4 * BEAT_MS))
    table.play("C4 D4 E4 F4 " * 3 + "C4 D4 E4", beat=0)
    table.mind_dies(beat=17.3)
    table.mind_returns(beat=26.1)
    before, between, after = names(table, 16, 21), names(table, 22, 27), names(table, 27, 32)
    assert set(before) == {"C5"}
    assert between
    assert all(map(is_standin, between))
    assert set(after) == {"C5"}
    table.until(beat=40)
    assert not table.sounding
    assert [state.mind for state in table.told(StateChanged)][-1] == "ready"


def test_what_was_drafted_before_the_mind_died_is_still_played() -> None:
    table = Table(mind=PaperMind("C5"))
    table.play(PLAYED, beat=0)
    table.mind_dies(beat=16.5)
    assert names(table, 16, 32) == ["C5"] * 16


def test_a_mind_that_comes_back_is_told_everything() -> None:
    mind = PaperMind("C5")
    table = Table(mind=mind, bars=1)
    table.play("C4 D4", beat=0)
    table.mind_dies(beat=9)
    table.mind_returns(beat=10)
    table.until(beat=10.5)
    assert [note.pitch for note in sorted(mind.known.values())] == [60, 62, 72, 72, 72, 72]
    prompts = [tell.value for tell in table.told(Tell) if isinstance(tell.value, Prompt)]
    assert prompts[-1].reset


def test_nothing_is_said_to_a_mind_that_is_gone() -> None:
    """The table itself would complain."""
    table = Table(mind=PaperMind("C5"), bars=1)
    table.mind_dies(beat=1)
    for beat in (0, 8, 16):
        table.play("C4 D4 E4", beat=beat)
    table.command("takeover", beat=20.5)
    table.command("panic", beat=22)
    table.until(beat=40)
    assert not table.sounding


def test_the_whole_chord_is_played_though_its_last_tone_came_late() -> None:
    """The second tone comes 10 ms before the line, when the first is decided already."""

    def plays(request: Continue) -> list[Note]:
        return [Note(request.from_beat, pitch_of(name), 1.0, 80) for name in ("C5", "E5")]

    table = Table(mind=PaperMind(plays=plays, first_ms=430, note_ms=60))
    table.play("C4", beat=0)
    table.until(beat=16)
    assert [name for _, what, name in table.until(beat=16.5) if what == "on"] == ["C5", "E5"]
    assert table.told(Cut) == []


@pytest.mark.parametrize(("note_ms", "lands"), [(80, [16.25]), (190, [16.25]), (210, [])])
def test_a_tone_later_than_that_waits_for_the_next_sixteenth_or_is_cut(
    note_ms: float, lands: list[float]
) -> None:
    """At 120 bpm a sixteenth is 125 ms; the draft is asked for 500 ms before the line."""

    def plays(request: Continue) -> list[Note]:
        return [Note(request.from_beat, pitch_of(name), 1.0, 80) for name in ("C5", "E5")]

    table = Table(mind=PaperMind(plays=plays, first_ms=430, note_ms=note_ms))
    table.play("C4", beat=0)
    heard = ons(table.until(beat=20))
    assert [beat for beat, name in heard if name == "E5"] == lands
    assert [cut.note.pitch for cut in table.told(Cut)] == [pitch_of("E5")] * (not lands)


def test_notes_of_a_withdrawn_draft_are_nobodys_business() -> None:
    """A hand-back at beat 15.5, while the mind still drafts: it is cancelled, and not quoted."""
    mind = PaperMind("C5", first_ms=200, note_ms=20)
    table = Table(mind=mind)
    table.play("C4", beat=0)
    table.command("handback", beat=15.2)
    table.until(beat=40)
    assert [tell.value for tell in table.told(Tell)][-1] == Cancel(1)
    assert table.told(Planned) == []


def test_notes_that_arrive_for_an_older_answer_are_left_alone() -> None:
    table = Table(mind=PaperMind("C5"), bars=1)
    table.play("C4", beat=0)
    t_ns = table.at.ns_at(12.5)
    table.until(beat=12.4)
    table.comes(t_ns, MindIn(t_ns, Drafted(1, Note(13.0, 100, 1.0, 80))))
    table.until(beat=20)
    assert 100 not in {planned.note.pitch for planned in table.told(Planned)}
    assert 100 not in {sent.message[1] for sent in table.sent}
    assert table.told(Cut) == []
