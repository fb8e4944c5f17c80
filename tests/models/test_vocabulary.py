"""The words of the model: the same list as MidiTok's, and the rules its docstring states."""

import pytest
import symusic

from models.vocabulary import (
    Vocabulary,
    VocabularyError,
    standard_tokens,
    standard_vocabulary,
)

V = standard_vocabulary()


def encoded(miditok, notes, *, metres=((0, 4, 4),), ticks_a_quarter=480):
    """Tokens of (onset, duration, pitch, velocity) in ticks, as MidiTok writes them."""
    score = symusic.Score(ticks_a_quarter)
    track = symusic.Track(program=0)
    for note in notes:
        track.notes.append(symusic.Note(*note))
    score.tracks.append(track)
    for metre in metres:
        score.time_signatures.append(symusic.TimeSignature(*metre))
    return miditok.encode(score)[0].tokens


def test_the_list_made_without_miditok_is_miditoks(miditok):
    assert standard_tokens() == tuple(sorted(miditok.vocab, key=miditok.vocab.__getitem__))


def test_it_covers_the_piano_and_two_grids():
    assert (V.lowest_pitch, V.highest_pitch) == (21, 108)
    assert V.steps_a_quarter(4) == 12
    assert V.steps_a_quarter(8) == 24
    assert V.steps_a_bar((4, 4)) == 48
    assert V.steps_a_bar((6, 8)) == 72
    assert max(V.steps_a_bar(metre) for metre in V.metres) == len(V.positions)


def test_numbers_and_words_agree():
    assert V.tokens[V.bar] == "Bar_None"
    assert V.tokens[V.pitch_token(60)] == "Pitch_60"
    assert V.tokens[V.velocity_token(90)] == "Velocity_87"
    assert V.tokens[V.velocity_token(35)] == "Velocity_39"  # as near to 31: the louder
    assert V.tokens[V.duration_token(18)] == "Duration_1.6.12"
    assert V.tokens[V.duration_token(500)] == "Duration_8.0.12"
    assert V.tokens[V.position_token(47)] == "Position_47"
    assert V.tokens[V.time_signature_token((6, 8))] == "TimeSig_6/8"


@pytest.mark.parametrize("velocity", range(1, 128))
def test_velocities_round_as_miditoks_do(miditok, velocity):
    written = encoded(miditok, [(0, 480, 60, velocity)])
    assert V.tokens[V.velocity_token(velocity)] in written


def test_a_grid_of_twelve_to_the_quarter_and_halves_go_up(miditok):
    notes = [(20, 100, 60, 87), (500, 1, 62, 87), (1910, 9999, 64, 87)]
    assert encoded(miditok, notes) == [
        *("Bar_None", "TimeSig_4/4"),
        *("Position_1", "Pitch_60", "Velocity_87", "Duration_0.3.12"),
        *("Position_13", "Pitch_62", "Velocity_87", "Duration_0.1.12"),
        *("Bar_None", "TimeSig_4/4"),
        *("Position_0", "Pitch_64", "Velocity_87", "Duration_8.0.12"),
    ]


def test_eighth_metres_have_twelve_to_the_eighth(miditok):
    assert encoded(miditok, [(240, 480, 60, 87)], metres=[(0, 6, 8)]) == [
        *("Bar_None", "TimeSig_6/8", "Position_12", "Pitch_60", "Velocity_87", "Duration_2.0.12"),
    ]


def test_a_chord_goes_upwards_and_a_double_keeps_the_shorter(miditok):
    notes = [(0, 480, 64, 87), (0, 960, 60, 87), (5, 40, 64, 87)]
    assert encoded(miditok, notes) == [
        *("Bar_None", "TimeSig_4/4", "Position_0"),
        *("Pitch_60", "Velocity_87", "Duration_2.0.12"),
        *("Pitch_64", "Velocity_87", "Duration_0.1.12"),
    ]


@pytest.mark.parametrize(
    ("tokens", "complaint"),
    [
        ([*standard_tokens(), "Bar_None"], "twice"),
        (standard_tokens()[1:], "no token 'PAD_None'"),
        ([t for t in standard_tokens() if not t.startswith("Velocity")], "kind Velocity"),
        ([t for t in standard_tokens() if t != "Pitch_60"], "do not rise by one"),
        ([*standard_tokens(), "Pitch_109"], "side by side"),
        ([t.replace("0.5.12", "0.5.8") for t in standard_tokens()], "one grid"),
    ],
)
def test_another_list_is_refused(tokens, complaint):
    with pytest.raises(VocabularyError, match=complaint):
        Vocabulary.from_tokens(tokens)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: V.pitch_token(20),
        lambda: V.pitch_token(109),
        lambda: V.position_token(144),
        lambda: V.time_signature_token((11, 8)),
    ],
)
def test_what_has_no_word_is_an_error(ask):
    with pytest.raises(ValueError, match="the vocabulary has no"):
        ask()
