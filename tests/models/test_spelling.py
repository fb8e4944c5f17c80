"""From a MIDI file to words: what one keyboard player plays, bar by bar.

That the words are MidiTok's is in test_placing.py.
"""

import pytest

from models.performance import performance_of
from models.scores import ScoreError, supported_metre
from models.spelling import spelled
from models.vocabulary import standard_vocabulary

V = standard_vocabulary()


def words(midi):
    """MIDI bytes to token words."""
    return [V.tokens[token] for token in spelled(performance_of(midi).placed(), V)]


def pitches(tokens):
    return [int(t.split("_")[1]) for t in tokens if t.startswith("Pitch")]


def test_hands_become_one_stream(toy):
    hands = [("RH", 0, [(0, 72, 1), (1, 74, 1)]), ("LH", 1, [(0, 48, 2)])]
    assert words(toy.midi_file(hands)) == [
        *("Bar_None", "TimeSig_4/4"),
        *("Position_0", "Pitch_48", "Velocity_79", "Duration_2.0.12"),
        *("Pitch_72", "Velocity_79", "Duration_1.0.12"),
        *("Position_12", "Pitch_74", "Velocity_79", "Duration_1.0.12"),
    ]


def test_drums_and_written_accompaniment_are_left_out(toy):
    band = [
        ("SOLO", 0, [(0, 67, 1)]),
        ("COMP_SYNTH", 1, [(0, 48, 4)]),
        ("Kit", 9, [(0, 36, 1)]),
    ]
    assert pitches(words(toy.midi_file(band))) == [67]


def test_a_piece_begins_with_the_bar_of_its_first_note(toy):
    late = toy.midi_file([("SOLO", 0, [(17, 60, 1), (25, 62, 1)])])
    assert words(late)[:3] == ["Bar_None", "TimeSig_4/4", "Position_12"]
    assert words(late).count("Bar_None") == 3  # the empty bar in the middle stays


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *(((4, 4), (4, 4)), ((6, 8), (6, 8)), ((2, 2), (4, 4)), ((3, 2), (6, 4))),
        *(((4, 2), (8, 4)), ((4, 8), (2, 4)), ((6, 16), (3, 8)), ((12, 16), (6, 8))),
    ],
)
def test_metres_keep_the_length_of_their_bar(written, read):
    assert supported_metre(*written) == read
    assert written[0] / written[1] == read[0] / read[1]


@pytest.mark.parametrize("written", [(9, 16), (15, 8), (9, 4), (0, 4), (4, 0)])
def test_other_metres_are_refused(written):
    with pytest.raises(ScoreError, match=f"metre {written[0]}/{written[1]}"):
        supported_metre(*written)
