"""`segue continue` with a mind that is a function: what it is asked, and what becomes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mido import Message, MetaMessage

from daemon.cli import continuation
from daemon.cli.continuation import EARLY_BEATS, entry_beat, notes_of
from daemon.cli.main import main
from daemon.take.midi_bytes import midi_bytes, read_midi, timed
from daemon.take.midi_file import read_score, score_of
from engine.meter import bar_at
from engine.protocol import (
    Continue,
    Drafted,
    Finished,
    FromMind,
    Lost,
    Meter,
    Note,
    Prompt,
    Ready,
    Refused,
)
from engine.standin import answer

TICKS = 480


class FakeMind:
    """Answers at once, with the stand-in or with what it was made to say."""

    def __init__(self, *says: FromMind) -> None:
        self.told = []
        self._says = says

    def start(self, config, receive):
        self.config = config
        self._receive = receive
        return self

    def __enter__(self):
        self._receive(Ready("fake", 0, 1))
        return self

    def __exit__(self, *_):
        self.told.append("closed")

    def send(self, value):
        self.told.append(value)
        if not isinstance(value, Continue):
            return
        (prompt,) = (told for told in self.told if isinstance(told, Prompt))
        notes = answer(
            [note for _, note in prompt.put],
            prompt.meters,
            from_beat=value.from_beat,
            until_beat=value.until_beat,
            seed=value.seed,
        )
        finished = Finished(value.epoch, False, 0, 0, (), ())
        for said in self._says or (*(Drafted(value.epoch, note) for note in notes), finished):
            self._receive(said)


@pytest.fixture
def mind(monkeypatch):
    fake = FakeMind()
    monkeypatch.setattr(continuation, "mind_of", fake.start)
    return fake


def meter(numerator, denominator, beat=0.0):
    event = MetaMessage("time_signature", numerator=numerator, denominator=denominator)
    return round(beat * TICKS), event


def tempo(bpm, beat):
    return round(beat * TICKS), MetaMessage("set_tempo", tempo=round(60_000_000 / bpm))


def pedal(value, beat, channel=0):
    message = Message("control_change", control=64, value=value, channel=channel)
    return round(beat * TICKS), message


def voice(*notes, channel=0):
    """A track of (onset, pitch, beats)."""
    track = []
    for onset, pitch, beats in notes:
        down = Message("note_on", note=pitch, velocity=80, channel=channel)
        up = Message("note_off", note=pitch, channel=channel)
        track += [(round(onset * TICKS), down), (round((onset + beats) * TICKS), up)]
    return sorted(track, key=lambda event: event[0])


def midi(*tracks):
    ordered = [sorted(track, key=lambda event: event[0]) for track in tracks]
    return midi_bytes(ordered, ticks_per_beat=TICKS)


def score(*tracks):
    return score_of(read_midi(midi(*tracks)))


def enters(*tracks):
    piece = score(*tracks)
    return entry_beat(piece, notes_of(piece))


def test_all_tracks_are_one_stream_and_the_pedal_holds():
    melody = voice((0, 72, 1), (1, 74, 1))
    chords = [*voice((0, 48, 1), channel=1), pedal(127, 0.5, 1), pedal(0, 3, 1)]
    assert notes_of(score(melody, chords)) == [
        Note(0, 48, 3, 80),
        Note(0, 72, 1, 80),
        Note(1, 74, 1, 80),
    ]


def test_a_pedal_that_never_goes_up_ends_with_the_last_key():
    piece = score([*voice((0, 60, 1), (2, 64, 1)), pedal(127, 0)])
    assert notes_of(piece) == [Note(0, 60, 3, 80), Note(2, 64, 1, 80)]


@pytest.mark.parametrize(
    ("meters", "last_onset", "line"),
    [
        ([], 3.5, 4),
        ([], 4, 8),
        ([], 3.97, 8),  # a person's fifth beat
        ([], 3.95, 4),
        ([meter(3, 4)], 2, 3),
        ([meter(3, 4)], 5.5, 6),
        ([meter(6, 8)], 3.5, 6),
        ([meter(5, 8)], 3, 5),
        ([meter(1, 4), meter(4, 4, 1)], 4, 5),  # a pick-up in a bar of its own
        ([meter(4, 4), meter(3, 4, 8)], 9, 11),
    ],
)
def test_it_enters_on_the_bar_line_after_the_last_onset(meters, last_onset, line):
    assert enters([(0, MetaMessage("track_name")), *meters], voice((last_onset, 60, 0.5))) == line


def test_a_last_note_that_rings_on_does_not_keep_it_waiting():
    assert enters(voice((0, 60, 1), (3, 62, 6))) == 4


beats = st.integers(0, 64 * 12).map(lambda step: step / 12)


@given(
    st.lists(beats, min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(1, 12), st.sampled_from((2, 4, 8)), beats), max_size=4),
)
def test_wherever_the_music_ends_it_enters_on_a_bar_line_behind_it(onsets, signatures):
    piece = score(
        [meter(numerator, denominator, beat) for numerator, denominator, beat in signatures],
        voice(*((onset, 40 + place, 0.5) for place, onset in enumerate(onsets))),
    )
    entry = entry_beat(piece, notes_of(piece))
    assert bar_at(piece.meters, entry).start == pytest.approx(entry)
    last_bar = bar_at(piece.meters, max(onsets) + EARLY_BEATS)
    assert last_bar.end == entry > max(onsets)


WALTZ = (
    [meter(3, 4), tempo(90, 0), tempo(140, 6)],
    voice((0, 72, 1), (1, 74, 1), (2, 76, 1), (3, 77, 2), (5, 76, 1), (6, 74, 3)),
    voice((0, 48, 3), (3, 53, 3), (6, 55, 3), channel=1),
)


@pytest.fixture
def waltz(tmp_path):
    (tmp_path / "waltz.mid").write_bytes(midi(*WALTZ))
    return tmp_path / "waltz.mid"


def test_what_the_mind_is_asked(waltz, mind, tmp_path):
    out = str(tmp_path / "out.mid")
    flags = ["--bars=4", "--seed=7", "--temperature=0.5", "--top-k=3", "--checkpoint=my/best"]
    assert main(["continue", str(waltz), "-o", out, *flags]) == 0
    prompt, request, closed = mind.told
    assert prompt.reset
    assert prompt.meters == (Meter(0, 3, 4),)
    assert [note for _, note in prompt.put] == notes_of(read_score(waltz))
    assert (request.from_beat, request.until_beat, request.seed) == (9, 21, 7)
    assert (request.controls.temperature, request.controls.top_k) == (0.5, 3)
    assert mind.config.checkpoint == "my/best"
    assert closed == "closed"


def test_the_result_has_the_score_then_the_answer_on_its_bars(waltz, mind, tmp_path, capsys):
    out = tmp_path / "out.mid"
    assert main(["continue", str(waltz), "-o", str(out), "--bars", "4"]) == 0
    before, after = read_score(waltz), read_score(out)
    assert (after.meters, after.tempos, after.end) == (before.meters, before.tempos, 21)
    notes = notes_of(after)
    assert notes[:9] == notes_of(before)
    assert notes[9].onset == 9
    assert all(note.onset >= 9 and note.end <= 21 for note in notes[9:])
    assert capsys.readouterr().err == f"{out}: 9 notes and {len(notes) - 9} more\n"
    conductor = timed(read_midi(out.read_bytes()).tracks[0])
    markers = [(tick, event.text) for tick, event in conductor if event.type == "marker"]
    assert markers == [(9 * TICKS, "Segue")]


def test_the_same_seed_gives_the_same_bytes(waltz, mind, tmp_path):
    def bytes_of(seed):
        mind.told.clear()
        out = tmp_path / "out.mid"
        assert main(["continue", str(waltz), "-o", str(out), f"--seed={seed}"]) == 0
        return out.read_bytes()

    assert [bytes_of(seed) for seed in range(5)] == (takes := [bytes_of(seed) for seed in range(5)])
    assert len(set(takes)) > 1


def test_of_a_very_long_score_the_mind_is_told_the_end(waltz, mind, tmp_path, monkeypatch):
    monkeypatch.setattr(continuation, "MOST_NOTES", 4)
    assert main(["continue", str(waltz), "-o", str(tmp_path / "out.mid")]) == 0
    assert [note for _, note in mind.told[0].put] == notes_of(read_score(waltz))[-4:]


def refused(capsys, *arguments):
    """Return the exit code and the one line that is said."""
    code = main(["continue", *map(str, arguments)])
    said, error = capsys.readouterr()
    assert said == ""
    assert error.startswith("segue continue: ")
    assert error.count("\n") == 1
    return code, error


NOT_MUSIC = {
    "empty": (b"", "it is empty; export it again"),
    "text": (b"dear diary", "it is not a MIDI file; export it again"),
    "cut": (midi(*WALTZ)[:-20], "it breaks off before its end; export it again"),
    "silent": (midi([meter(4, 4)]), "it holds no notes; choose a file with at least one"),
    "huge": (bytes(2_000_001), "is larger than 2 MB; cut it into pieces"),
    "damaged": (midi(*WALTZ).replace(b"\x90H", b"\xf4H"), "it is damaged (undefined status"),
}


@pytest.mark.parametrize(("data", "said"), NOT_MUSIC.values(), ids=NOT_MUSIC)
def test_a_file_that_cannot_be_used(data, said, mind, tmp_path, capsys):
    (tmp_path / "in.mid").write_bytes(data)
    code, line = refused(capsys, tmp_path / "in.mid", "-o", tmp_path / "out.mid")
    assert code == 2
    assert said in line
    assert str(tmp_path / "in.mid") in line
    assert not (tmp_path / "out.mid").exists()
    assert mind.told == []


def test_no_file_and_no_such_setting(waltz, mind, tmp_path, capsys):
    out = tmp_path / "out.mid"
    code, line = refused(capsys, tmp_path / "no.mid", "-o", out)
    assert (code, "check the name" in line) == (2, True)
    code, line = refused(capsys, tmp_path, "-o", out)
    assert (code, "is a folder" in line) == (2, True)
    code, line = refused(capsys, waltz, "-o", out, "--temperature", "9")
    assert (code, "temperature takes 0 to 2" in line) == (2, True)


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--bars", "0", "a whole number of bars from 1 to 256"),
        ("--bars", "many", "a whole number of bars from 1 to 256"),
        ("--seed", "x", "a whole number of at most 18 digits"),
        ("--seed", str(2**63), "a whole number of at most 18 digits"),
    ],
)
def test_a_number_out_of_range(flag, value, said, waltz, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["continue", str(waltz), "-o", str(tmp_path / "out.mid"), flag, value])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told_before_the_mind_is_asked(
    waltz, mind, tmp_path, capsys
):
    code, line = refused(capsys, waltz, "-o", tmp_path / "no" / "out.mid")
    assert (code, "there is no folder" in line) == (1, True)
    code, line = refused(capsys, waltz, "-o", tmp_path)
    assert (code, "choose another name" in line) == (1, True)
    code, line = refused(capsys, waltz, "-o", waltz / "out.mid")
    assert (code, "there is no folder" in line) == (1, True)
    code, line = refused(capsys, waltz, "-o", tmp_path / ("long" * 63))
    assert (code, "choose a shorter one" in line) == (1, True)
    assert mind.told == []
    assert [path.name for path in tmp_path.iterdir()] == ["waltz.mid"]


@pytest.mark.parametrize(
    ("says", "said"),
    [
        (Lost("the mind ended with code 2: no checkpoint there"), "no checkpoint there"),
        (Refused("a beat is a number"), "a beat is a number"),
        (Ready("fake", 0, 1), "said nothing for 0 s"),
    ],
)
def test_a_mind_that_does_not_answer(says, said, waltz, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(continuation, "mind_of", FakeMind(says).start)
    monkeypatch.setattr(continuation, "PATIENCE_S", 0.01)
    code, line = refused(capsys, waltz, "-o", tmp_path / "out.mid")
    assert code == 1
    assert said in line
    assert not (tmp_path / "out.mid").exists()
