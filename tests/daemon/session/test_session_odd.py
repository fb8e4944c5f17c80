"""A session when odd things happen: to a note, to the time, to what comes in."""

from musicians import PaperMind, Table, ons

from daemon.interface.events import CommandIn, Cut, NoteEnded, StateChanged, TakeMarked, Tick
from daemon.listening.timeline import SHORTEST_BEATS
from engine.protocol import Continue, Note


def test_a_pitch_that_is_struck_again_is_released_first() -> None:
    table = Table(mind=PaperMind("C5", step=1.0, hold=8.0), bars=1)
    table.play("C4", beat=0)
    assert table.until(beat=6.5) == [
        (4.0, "on", "C5"),
        (5.0, "off", "C5"),
        (5.0, "on", "C5"),
        (6.0, "off", "C5"),
        (6.0, "on", "C5"),
    ]


def test_a_note_of_no_length_and_a_note_twice_do_no_harm() -> None:
    def plays(request: Continue) -> list[Note]:
        line = request.from_beat
        return [Note(line, 72, 1e-9, 80), Note(line, 72, 1.0, 80), Note(line + 1, 74, 1e-7, 80)]

    table = Table(mind=PaperMind(plays=plays), bars=1)
    table.play("C4", beat=0)
    heard = table.until(beat=8)
    assert [(what, name) for _, what, name in heard] == [
        ("on", "C5"),
        ("off", "C5"),
        ("on", "D5"),
        ("off", "D5"),
    ]
    assert not table.sounding
    whole = [ended.note for ended in table.told(NoteEnded) if ended.voice == "segue"]
    assert [(note.onset, note.duration) for note in whole] == [
        (4.0, SHORTEST_BEATS),
        (5.0, SHORTEST_BEATS),
    ]


def test_when_the_tempo_leaps_releases_still_follow_their_notes() -> None:
    """At 20 bpm two short notes are on their way; 10 ms later the tempo is 400."""

    def plays(request: Continue) -> list[Note]:
        line = request.from_beat
        return [Note(line, 72, 1e-9, 80), Note(line + 0.008, 72, 0.1, 80)]

    table = Table(mind=PaperMind(plays=plays), bars=1, bpm=20.0)
    table.play("C4", beat=0)
    table.command("bpm", 400.0, beat=4 - 0.015 / 3)
    table.until(beat=4.3)  # 900 ms
    first_on, first_off, second_on, second_off = table.sent
    assert [sent.message[0] for sent in table.sent] == [0x90, 0x80, 0x90, 0x80]
    assert first_on.due_ns < first_off.due_ns <= second_on.due_ns < second_off.due_ns


def test_an_onset_that_is_a_rounding_error_before_the_line_is_played() -> None:
    def plays(request: Continue) -> list[Note]:
        return [Note(request.from_beat - 5e-7, 72, 0.5, 80)]

    table = Table(mind=PaperMind(plays=plays), bars=1)
    table.play("C4", beat=0)
    assert ons(table.until(beat=8)) == [(4.0, "C5")]


def test_an_entry_that_was_stamped_before_a_wake_does_not_turn_time_back() -> None:
    table = Table(bars=1)
    table.play("C4", beat=0)
    table.until(beat=2)
    table.session.handle(Tick(table.at.ns_at(3)))
    effects = table.session.handle(CommandIn(table.at.ns_at(2.5), "take/record", ()))
    assert effects == [TakeMarked(3.0, True)]


def test_before_the_first_note_there_is_nothing_to_take_over() -> None:
    table = Table(mind=PaperMind())
    table.command("takeover", beat=0)
    assert table.until(beat=20) == []


def test_what_was_committed_but_not_begun_is_not_played() -> None:
    """The answer ends 10 ms before a note that was on its way."""
    table = Table(mind=PaperMind("C5 D5"), bars=1)
    table.play("C4", beat=0)
    table.command("handback", beat=5 - 0.02)
    assert table.until(beat=12) == [(4.0, "on", "C5"), (4.5, "off", "C5")]
    ended = [(ended.note.pitch, ended.note.duration) for ended in table.told(NoteEnded)]
    assert ended == [(60, 0.5), (72, 0.5), (74, 0.0)], "what was told as begun is told as ended"
    assert table.mind is not None
    assert [note.pitch for note in sorted(table.mind.known.values())] == [60, 72]


def test_the_pedal_that_was_down_before_the_first_note_holds_it() -> None:
    table = Table()
    table.control(64, 127, beat=-0.1)
    table.play("C4", beat=0)
    table.control(64, 0, beat=3)
    table.until(beat=4)
    assert table.told(NoteEnded) == [NoteEnded("player", Note(0.0, 60, 3.0, 80))]


def test_garbage_starts_nothing() -> None:
    table = Table()
    for message in ((0x90, 0xFF, 0x40), (0x90,), (0xF0, 1, 2), (0x3C,), (0xF8, 0xFF), ()):
        table.sends(0, *message)
    table.until(beat=4)
    assert [state.playing for state in table.told(StateChanged)] == [False]


def test_nobody_has_to_be_woken_while_nobody_plays() -> None:
    table = Table(mind=PaperMind(), mode="off")
    assert table.session.next_wake_ns() is None
    table.play("C4", beat=0)
    table.until(beat=1000)
    assert len(table.entries) == 3, "ready, a key down, a key up"


def test_a_session_that_was_frozen_cuts_what_it_missed_and_goes_on() -> None:
    """The process stood still for two seconds: no burst of late notes, and on with the music."""
    table = Table(mind=PaperMind())
    table.play("C4", beat=0)
    table.until(beat=18.2)
    table.freeze(until_beat=22.2)
    assert ons(table.until(beat=25)) == [(23.0, "F5"), (24.0, "C5")]
    assert [cut.note.onset for cut in table.told(Cut)] == [19.0, 20.0, 21.0, 22.0]
