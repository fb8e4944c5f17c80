"""Notes on the grid: the same as MidiTok's, and the same whatever the order they come in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.pieces import piece_of
from models.performance import performance_of
from models.placing import BAR, LEVEL, LEVEL_OF_VELOCITY, METRE_LIST, STEP, Bars, place
from models.scores import tokens_of
from models.vocabulary import METRES, build_tokenizer, standard_vocabulary

V = standard_vocabulary()


@pytest.fixture(scope="module")
def midi_tok():
    """MIDI bytes to the canonical piece, by way of MidiTok."""
    tokenizer = build_tokenizer()
    return lambda midi: piece_of(np.array(tokens_of(midi, V, tokenizer)), V)


NOTES = st.lists(
    st.tuples(
        st.integers(0, 3000).map(lambda n: n / 96),  # beats, on and off the grid
        st.integers(21, 108),
        st.integers(1, 1000).map(lambda n: n / 96),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(notes=NOTES, metre=st.sampled_from([(n, d) for d in METRES for n in METRES[d]]))
def test_it_places_notes_as_miditok_does(midi_tok, toy, notes, metre):
    # A second note on a sounding key would end the first one in the file.
    notes = list({pitch: (beat, pitch, beats) for beat, pitch, beats in notes}.values())
    midi = toy.midi_file([("RH", 0, notes)], metre=metre)
    expected = midi_tok(midi)
    placed = performance_of(midi).placed()
    heard = placed.notes.copy()
    heard[:, LEVEL] = np.array(V.velocity_values)[heard[:, LEVEL]]
    assert heard.tolist() == expected.notes.tolist()
    last = int(placed.notes[-1, BAR])
    assert [METRE_LIST[m] for m in placed.metres[: last + 1]] == list(expected.metres)


def test_metres_and_velocities_have_the_vocabularys_numbers():
    assert V.metres == METRE_LIST
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
