"""Scores are read as they are meant, takes written as they were played."""

import errno

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.listening.timeline import Closed, Timeline
from daemon.take.midi_file import MAX_BYTES, ScoreError, read_score, write_take
from daemon.take.whole_file import NotWritten
from engine.protocol import Meter, Note

TICK = 1 / 480
FOUR_FOUR = (Meter(0.0, 4, 4),)


def heard(messages):
    """Return the notes of a stream of (beat, message)."""
    timeline = Timeline()
    changes = [change for beat, message in messages for change in timeline.feed(beat, message)]
    assert not timeline.open_notes
    return sorted(change.note for change in changes if isinstance(change, Closed))


def saved(tmp_path, *tracks, ticks_per_beat=480, kind=1):
    """Write tracks of mido messages; return the path."""
    file = mido.MidiFile(type=kind, ticks_per_beat=ticks_per_beat)
    for track in tracks:
        file.tracks.append(mido.MidiTrack(track))
    file.save(tmp_path / "score.mid")
    return tmp_path / "score.mid"


def note(pitch, *, wait=0, length=480, channel=0):
    return [
        mido.Message("note_on", note=pitch, velocity=80, time=wait, channel=channel),
        mido.Message("note_off", note=pitch, time=length, channel=channel),
    ]


def signature(numerator, denominator, time=0):
    return mido.MetaMessage(
        "time_signature", numerator=numerator, denominator=denominator, time=time
    )


def test_several_tracks_are_one_stream(tmp_path):
    score = read_score(saved(tmp_path, note(72) + note(74), note(48, length=960)))
    assert heard(score.messages) == [
        Note(0, 48, 2, 80),
        Note(0, 72, 1, 80),
        Note(1, 74, 1, 80),
    ]
    assert score.length == 2
    assert score.ticks_per_beat == 480
    assert score.meters == FOUR_FOUR
    assert score.tempos == ((0.0, 120.0),)


def test_type_0_with_pedal_and_other_resolution(tmp_path):
    pedal = [mido.Message("control_change", control=64, value=v, time=96) for v in (127, 0)]
    score = read_score(saved(tmp_path, [*note(60, length=96), *pedal], ticks_per_beat=96, kind=0))
    assert [(beat, message[0] & 0xF0) for beat, message in score.messages] == [
        (0, 0x90),
        (1, 0x80),
        (2, 0xB0),
        (3, 0xB0),
    ]
    assert score.length == 1


def test_a_release_comes_before_another_track_strikes_the_same_key(tmp_path):
    score = read_score(saved(tmp_path, note(60, wait=480), note(60)))
    assert heard(score.messages) == [Note(0, 60, 1, 80), Note(1, 60, 1, 80)]


def test_tempo_and_meter_changes(tmp_path):
    conductor = [
        mido.MetaMessage("set_tempo", tempo=1_000_000),
        signature(3, 4),
        mido.MetaMessage("set_tempo", tempo=400_000, time=720),
        signature(6, 8, time=720),
    ]
    score = read_score(saved(tmp_path, conductor, note(60)))
    assert score.tempos == ((0.0, 60.0), (1.5, 150.0))
    assert score.meters == (Meter(0.0, 3, 4), Meter(3.0, 6, 8))


@pytest.mark.parametrize(
    ("written_at_tick", "on_line"),
    [(1920, 4), (1919, 4), (1930, 4), (2400, 8), (3000, 8), (3839, 8)],
)
def test_a_meter_is_moved_to_a_bar_line(tmp_path, written_at_tick, on_line):
    score = read_score(saved(tmp_path, [signature(3, 4, time=written_at_tick)], note(60)))
    assert score.meters == (Meter(0.0, 4, 4), Meter(on_line, 3, 4))


def test_of_two_meters_on_a_line_the_later_holds_and_repetitions_go(tmp_path):
    conductor = [signature(2, 4), signature(3, 4), signature(3, 4, time=1440), signature(99, 4)]
    assert read_score(saved(tmp_path, conductor, note(60))).meters == (Meter(0.0, 3, 4),)


def test_drums_are_left_out_unless_they_are_all(tmp_path):
    score = read_score(saved(tmp_path, note(36, channel=9), note(60)))
    assert heard(score.messages) == [Note(0, 60, 1, 80)]
    score = read_score(saved(tmp_path, note(36, channel=9)))
    assert heard(score.messages) == [Note(0, 36, 1, 80)]


def test_a_note_without_end_is_released_with_its_track(tmp_path):
    held = [note(60)[0], mido.MetaMessage("end_of_track", time=960)]
    assert heard(read_score(saved(tmp_path, held)).messages) == [Note(0, 60, 2, 80)]


def test_the_title_and_where_the_last_track_ends(tmp_path):
    named = [mido.MetaMessage("track_name", name="Lied"), *note(60)]
    longer = [*note(48), mido.MetaMessage("end_of_track", time=480)]
    score = read_score(saved(tmp_path, named, longer))
    assert (score.title, score.length, score.end) == ("Lied", 1, 2)
    assert read_score(saved(tmp_path, note(60))).title == ""


def test_a_tempo_out_of_this_world_is_passed_over(tmp_path):
    score = read_score(saved(tmp_path, [mido.MetaMessage("set_tempo", tempo=0)], note(60)))
    assert score.tempos == ((0.0, 120.0),)


def refusal(path):
    with pytest.raises(ScoreError) as caught:
        read_score(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_refusal_is_one_line_that_helps(tmp_path):
    assert "there is no file" in refusal(tmp_path / "nowhere.mid")
    assert "is a folder; name a MIDI file in it" in refusal(tmp_path)
    assert "is no file" in refusal("/dev/null")
    refusal(tmp_path / ("long" * 100))

    score = tmp_path / "score.mid"
    score.write_bytes(b"not music")
    assert "it is not a MIDI file; export it again" in refusal(score)
    with score.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert "larger than 2 MB" in refusal(score)
    assert "holds no notes" in refusal(saved(tmp_path, [signature(3, 4)]))
    score.write_bytes(saved(tmp_path, note(60), note(62)).read_bytes()[:-3])
    assert "it breaks off before its end; export it again" in refusal(score)
    far = saved(tmp_path, note(60, wait=480 * 200_000))
    assert "more than 100,000 beats long; cut it into pieces" in refusal(far)


@given(data=st.data())
def test_only_a_score_error_ever_comes_out(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    conductor = [signature(3, 4), mido.MetaMessage("set_tempo", tempo=400_000)]
    broken = bytearray(saved(folder, conductor, note(60) + note(62)).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(broken)))
        width = data.draw(st.integers(0, 3))
        broken[at : at + width] = data.draw(st.binary(max_size=4))
    path = folder / "broken.mid"
    path.write_bytes(broken)
    try:
        score = read_score(path)
    except ScoreError as error:
        assert "\n" not in str(error)
    else:
        heard(score.messages)


def test_a_take_as_mido_reads_it(tmp_path):
    path = tmp_path / "take.mid"
    write_take(
        path,
        parts=[
            ("player", [Note(0.013, 60, 0.9, 70), Note(1.0, 60, 1.0, 71)]),
            ("Segue", [Note(4.0, 64, 0.5, 80)]),
        ],
        meters=[Meter(0.0, 4, 4), Meter(4.0, 6, 8)],
        tempos=[(0.0, 100.0), (4.0, 90.0)],
        markers=[(0.0, "player"), (4.0, "Segue")],
    )
    conductor, player, segue = mido.MidiFile(path).tracks
    assert [message.dict() | {"time": 0} for message in conductor if message.type == "marker"] == [
        {"type": "marker", "text": "player", "time": 0},
        {"type": "marker", "text": "Segue", "time": 0},
    ]
    assert [m.time for m in conductor] == [0, 0, 0, 1920, 0, 0, 1440]  # up to the next bar line
    assert (player.name, segue.name) == ("player", "Segue")
    assert [str(message) for message in player[1:-1]] == [
        "note_on channel=0 note=60 velocity=70 time=6",
        "note_off channel=0 note=60 velocity=0 time=432",
        "note_on channel=0 note=60 velocity=71 time=42",
        "note_off channel=0 note=60 velocity=0 time=480",
    ]
    assert segue[1].channel == 1


def test_a_repeated_key_cuts_the_note_before_it(tmp_path):
    path = tmp_path / "take.mid"
    notes = [Note(0.0, 60, 3.0, 70), Note(1.0, 60, 1.0, 71), Note(1.0, 60, 0.5, 72)]
    write_take(path, parts=[("player", notes)], meters=FOUR_FOUR, tempos=[(0.0, 120.0)])
    assert heard(read_score(path).messages) == [Note(0, 60, 1, 70), Note(1, 60, 1, 71)]


def test_a_take_without_a_note(tmp_path):
    path = tmp_path / "take.mid"
    write_take(path, parts=[("player", []), ("Segue", [])], meters=(), tempos=())
    assert len(mido.MidiFile(path).tracks) == 3


onsets = st.floats(0, 500, allow_nan=False)
velocities = st.integers(1, 127)


@st.composite
def melodies(draw):
    """Notes of which none runs into the next of its pitch, as a keyboard gives them."""
    notes = []
    for pitch in draw(st.lists(st.integers(0, 127), max_size=6, unique=True)):
        beat = 0.0
        for gap, duration in draw(
            st.lists(st.tuples(st.floats(0.01, 20), st.floats(0.01, 9)), max_size=8)
        ):
            notes.append(Note(beat + gap, pitch, duration, draw(velocities)))
            beat += gap + duration
    return sorted(notes)


@given(melodies(), melodies())
def test_a_take_gives_its_notes_back_within_half_a_tick(tmp_path_factory, player, segue):
    path = tmp_path_factory.getbasetemp() / "take.mid"
    write_take(
        path,
        parts=[("player", player), ("Segue", segue)],
        meters=[Meter(0.0, 3, 4)],
        tempos=[(0.0, 111.0)],
    )
    if not player + segue:
        return
    score = read_score(path)
    assert score.meters == (Meter(0.0, 3, 4),)
    assert score.tempos[0][1] == pytest.approx(111.0, rel=1e-5)
    for channel, played in enumerate((player, segue)):
        mine = [(beat, m) for beat, m in score.messages if m[0] & 0x0F == channel]
        key = lambda note: (note.pitch, note.onset)  # noqa: E731 - two onsets may share a tick
        got = sorted(heard(mine), key=key)
        for note, again in zip(sorted(played, key=key), got, strict=True):
            assert (note.pitch, note.velocity) == (again.pitch, again.velocity)
            assert abs(note.onset - again.onset) <= TICK / 2 + 1e-9
            assert abs(note.end - again.end) <= TICK / 2 + 1e-9 or again.duration <= 4 * TICK


@given(st.lists(st.builds(Note, onsets, st.integers(60, 63), onsets, velocities), max_size=20))
def test_no_take_has_overlapping_keys(tmp_path_factory, notes):
    path = tmp_path_factory.getbasetemp() / "take.mid"
    write_take(path, parts=[("player", notes)], meters=FOUR_FOUR, tempos=[(0.0, 120.0)])
    down = set()
    for message in mido.MidiFile(path).tracks[1]:
        if message.type == "note_on":
            assert message.note not in down
            down.add(message.note)
        elif message.type == "note_off":
            down.remove(message.note)
    assert not down


def test_the_same_take_gives_the_same_bytes(tmp_path):
    notes = [Note(0.0, 60, 1.0, 70), Note(0.0, 64, 1.0, 70)]
    for name, order in (("a", notes), ("b", notes[::-1])):
        write_take(tmp_path / name, parts=[("p", order)], meters=FOUR_FOUR, tempos=[(0.0, 120.0)])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_take_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    def write(path):
        write_take(path, parts=[], meters=FOUR_FOUR, tempos=[(0.0, 120.0)])

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NotWritten, match=r"there is no folder .*; make it first"):
        write(tmp_path / "no" / "take.mid")
    with pytest.raises(NotWritten, match="a folder of that name is there"):
        write(tmp_path)
    old = tmp_path / "take.mid"
    old.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(NotWritten, match="no space left on device; free some space"):
        write(old)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("take.mid", b"old")]
