"""Notes on the grid and in tokens: the same as MidiTok's, whatever order they come in."""

import numpy as np
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from models.performance import performance_of
from models.placing import LEVEL_OF_VELOCITY, METRE_LIST, STEP, VELOCITIES, Bars, place
from models.spelling import NOTE_TOKENS, spelled
from models.vocabulary import METRES, standard_vocabulary

V = standard_vocabulary()


def as_midi_tok_says(miditok, midi):
    """The tokens of a file with one track of notes, from the bar of the first to the last."""
    score = symusic.Score.from_midi(midi)
    score.tracks = [track for track in score.tracks if len(track.notes)]
    tokens = miditok.encode(score)[0].ids
    notes = [at for at, token in enumerate(tokens) if token in V.pitches]
    bar = max(at for at in range(notes[0]) if tokens[at] == V.bar)
    return tokens[bar : notes[-1] + NOTE_TOKENS]


NOTES = st.lists(
    st.tuples(
        st.integers(0, 3000).map(lambda n: n / 96),  # beats, on and off the grid
        st.integers(21, 108),
        st.integers(1, 1000).map(lambda n: n / 96),
    ),
    min_size=1,
    max_size=20,
)


METRE = st.sampled_from([(n, d) for d in METRES for n in METRES[d]])


@settings(max_examples=120, deadline=None)
@given(notes=NOTES, metre=METRE, change=st.none() | st.tuples(st.integers(1, 5), METRE))
def test_it_places_notes_as_miditok_does(miditok, toy, notes, metre, change):
    # A second note on a sounding key would end the first one in the file.
    notes = list({pitch: (beat, pitch, beats) for beat, pitch, beats in notes}.values())
    midi = toy.midi_file([("RH", 0, notes)], metre=metre)
    if change:
        score = symusic.Score.from_midi(midi)
        line = change[0] * score.ticks_per_quarter * 4 * metre[0] // metre[1]
        score.time_signatures.append(symusic.TimeSignature(line, *change[1]))
        midi = score.dumps_midi()
    tokens = spelled(performance_of(midi).placed(), V)
    assert tokens.tolist() == as_midi_tok_says(miditok, midi)


def test_metres_and_velocities_have_the_vocabularys_numbers():
    assert V.metres == METRE_LIST
    assert V.velocity_values == tuple(VELOCITIES.tolist())
    for velocity in range(1, 128):
        token = V.velocity_token(velocity)
        assert LEVEL_OF_VELOCITY[velocity] == token - V.velocities.start


def bars(metre=(4, 4), count=4):
    length = metre[0] * 4 / metre[1]
    number = METRE_LIST.index(metre)
    return Bars(length * np.arange(count), np.full(count, number), 3 * metre[1])


def placed(onset, *, duration=1.0, **changes):
    note = (np.array([onset]), np.array([duration]), np.array([60]), np.array([80]))
    return place(*note, bars(**changes)).notes[0].tolist()


def test_an_onset_just_before_a_line_belongs_to_the_next_bar():
    assert placed(3.99)[: STEP + 1] == [1, 0]
    assert placed(3.95)[: STEP + 1] == [0, 47]
    assert placed(1.49, metre=(3, 8))[: STEP + 1] == [1, 0]


def test_what_lies_before_the_first_line_moves_to_it():
    assert placed(-0.2)[: STEP + 1] == [0, 0]


def test_durations_stay_within_what_can_be_said():
    assert placed(0, duration=0.001)[3] == 1
    assert placed(0, duration=99)[3] == 96


def test_of_two_notes_at_one_place_and_pitch_the_shorter_stays():
    onset, duration = np.array([0.0, 0.01]), np.array([2.0, 1.0])
    same = place(onset, duration, np.array([60, 60]), np.array([80, 90]), bars())
    assert same.notes.tolist() == [[0, 0, 60, 12, LEVEL_OF_VELOCITY[90]]]
