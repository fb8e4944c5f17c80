"""The live tokenizer says what MidiTok says."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.grid import Grid
from engine.protocol import Meter, Note
from engine.tokens import tokenize, untokenize
from models.vocabulary import METRES, standard_vocabulary

VOCABULARY = standard_vocabulary()
KNOWN = [(n, d) for d, numerators in METRES.items() for n in numerators]
FOUR_FOUR = (Meter(0.0, 4, 4),)


def words(tokens: list[int]) -> str:
    return " ".join(VOCABULARY.tokens[token] for token in tokens)


def test_a_bar_reads_like_a_sentence() -> None:
    notes = [Note(0.0, 60, 1.0, 79), Note(1.5, 64, 0.5, 63), Note(4.0, 60, 2.0, 79)]
    assert words(tokenize(notes, FOUR_FOUR, VOCABULARY)) == (
        "Bar_None TimeSig_4/4 Position_0 Pitch_60 Velocity_79 Duration_1.0.12"
        " Position_18 Pitch_64 Velocity_63 Duration_0.6.12"
        " Bar_None TimeSig_4/4 Position_0 Pitch_60 Velocity_79 Duration_2.0.12"
    )


def test_a_chord_goes_upwards_and_a_double_is_said_once() -> None:
    chord = [Note(0.01, 67, 1.0, 79), Note(0.0, 60, 2.0, 79), Note(-0.01, 60, 1.0, 79)]
    assert words(tokenize(chord, FOUR_FOUR, VOCABULARY)) == (
        "Bar_None TimeSig_4/4 Position_0 Pitch_60 Velocity_79 Duration_1.0.12"
        " Pitch_67 Velocity_79 Duration_1.0.12"
    )


def test_an_onset_just_before_the_line_stands_on_it() -> None:
    early = [Note(3.99, 60, 1.0, 79)]
    assert words(tokenize(early, FOUR_FOUR, VOCABULARY)) == (
        "Bar_None TimeSig_4/4 Bar_None TimeSig_4/4 Position_0 Pitch_60 Velocity_79 Duration_1.0.12"
    )


def test_six_eight_counts_in_eighths() -> None:
    notes = [Note(0.5, 60, 0.5, 79), Note(3.0, 62, 1.5, 79)]
    assert words(tokenize(notes, (Meter(0.0, 6, 8),), VOCABULARY)) == (
        "Bar_None TimeSig_6/8 Position_12 Pitch_60 Velocity_79 Duration_1.0.12"
        " Bar_None TimeSig_6/8 Position_0 Pitch_62 Velocity_79 Duration_3.0.12"
    )


@st.composite
def pieces(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]], list[tuple[int, ...]]]:
    """Ticks a quarter, metres (tick, n, d) on bar lines, and notes in ticks (onset order)."""
    tpq = draw(st.sampled_from([24, 96, 120, 220, 384, 480, 960]))
    metres = []
    tick = 0
    for numerator, denominator in draw(
        st.lists(st.sampled_from([*KNOWN, (4, 4), (3, 4), (6, 8)]), min_size=1, max_size=4)
    ):
        metres.append((tick, numerator, denominator))
        tick += draw(st.integers(1, 3)) * numerator * tpq * 4 // denominator
    grid = st.integers(0, tick * 12 // tpq + 48).map(lambda step: step * tpq // 12)
    onsets = st.one_of(st.integers(0, tick + 4 * tpq), grid)
    durations = st.one_of(st.integers(1, tpq), st.integers(1, 12 * tpq), grid.map(lambda d: d + 1))
    notes = draw(
        st.lists(
            st.tuples(onsets, durations, st.integers(15, 112), st.integers(1, 127)),
            min_size=1,
            max_size=40,
        )
    )
    return tpq, metres, sorted(notes)


@settings(max_examples=600, deadline=None)
@given(piece=pieces())
def test_the_tokens_are_miditoks(miditok: Any, piece: Any) -> None:
    from symusic import Note as TickNote
    from symusic import Score, TimeSignature, Track

    tpq, metres, ticks = piece
    assume(any(21 <= pitch <= 108 for _, _, pitch, _ in ticks))
    score = Score(tpq)
    track = Track()
    for onset, duration, pitch, velocity in ticks:
        track.notes.append(TickNote(onset, duration, pitch, velocity))
    track.notes.sort()
    score.tracks.append(track)
    for tick, numerator, denominator in metres:
        score.time_signatures.append(TimeSignature(tick, numerator, denominator))
    expected = list(miditok.encode(score)[0].ids)
    # MidiTok writes empty bars up to a metre that comes after the last onset; a prompt ends there
    last = max(i for i, token in enumerate(expected) if token in VOCABULARY.durations)

    meters = tuple(Meter(tick / tpq, n, d) for tick, n, d in metres)
    notes = [Note(on / tpq, pitch, length / tpq, vel) for on, length, pitch, vel in ticks]
    assert words(tokenize(notes, meters, VOCABULARY)) == words(expected[: last + 1])


beats = st.floats(0, 40)
notes_lists = st.lists(
    st.builds(
        Note,
        onset=beats,
        pitch=st.integers(0, 127),
        duration=st.floats(0.01, 12),
        velocity=st.integers(1, 127),
    ),
    max_size=30,
)
any_metre = st.tuples(st.integers(1, 32), st.sampled_from([1, 2, 4, 8, 16, 32, 64]))


@st.composite
def any_maps(draw: st.DrawFn) -> tuple[Meter, ...]:
    """Any meters anywhere: known or not, on a bar line or in the middle of a bar."""
    starts = draw(st.lists(st.floats(-8, 40), min_size=1, max_size=4, unique=True))
    return tuple(Meter(start, *draw(any_metre)) for start in sorted(starts))


@settings(deadline=None)
@given(notes_lists, any_maps())
def test_tokens_of_notes_of_tokens_are_the_same_tokens(
    notes: list[Note], meters: tuple[Meter, ...]
) -> None:
    first_bar = Grid(meters, VOCABULARY).bar_at(0.0).number
    tokens = tokenize(notes, meters, VOCABULARY, first_bar=first_bar)
    again = untokenize(tokens, meters, VOCABULARY, first_bar=first_bar)
    assert words(tokenize(again, meters, VOCABULARY, first_bar=first_bar)) == words(tokens)


@settings(deadline=None)
@given(notes_lists, any_maps(), st.data())
def test_notes_with_one_beginning_have_tokens_with_one_beginning(
    notes: list[Note], meters: tuple[Meter, ...], data: st.DataObject
) -> None:
    notes.sort()
    cut = data.draw(st.integers(0, len(notes)))
    first_bar = Grid(meters, VOCABULARY).bar_at(0.0).number
    whole = tokenize(notes, meters, VOCABULARY, first_bar=first_bar)
    part = tokenize(notes[:cut], meters, VOCABULARY, first_bar=first_bar)
    # A note that rounds to the place of the first one left out may sort behind it.
    edge = Grid(meters, VOCABULARY).place(notes[cut].onset) if cut < len(notes) else (10**9, 0)
    before = [n for n in notes[:cut] if Grid(meters, VOCABULARY).place(n.onset) < edge]
    start = tokenize(before, meters, VOCABULARY, first_bar=first_bar)
    assert part[: len(start)] == start == whole[: len(start)]
