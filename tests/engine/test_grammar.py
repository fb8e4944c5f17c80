"""Whatever is chosen among what is allowed, the answer is well formed."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.grammar import FOLLOWS, MAX_NOTES_A_STEP, Grammar, Kind
from engine.protocol import Meter
from engine.tokens import Tokenizer
from models.vocabulary import standard_vocabulary

VOCABULARY = standard_vocabulary()


def tokenizer(*meters: Meter) -> Tokenizer:
    return Tokenizer(VOCABULARY, meters)


def names(grammar: Grammar) -> str:
    """What may follow, as "First..Last" of each range."""
    return " ".join(
        VOCABULARY.tokens[span[0]] + (f"..{VOCABULARY.tokens[span[-1]]}" if len(span) > 1 else "")
        for span in grammar.allowed()
    )


def say(grammar: Grammar, text: str) -> None:
    for word in text.split():
        token = VOCABULARY.tokens.index(word)
        assert any(token in span for span in grammar.allowed()), f"{word} is not allowed"
        grammar.take(token)


C4 = "Pitch_60 Velocity_79 Duration_1.0.12"


def test_a_line_of_the_table_for_each_kind() -> None:
    assert set(FOLLOWS) == set(Kind)


def test_a_note_is_pitch_velocity_duration() -> None:
    grammar = Grammar(tokenizer(), from_beat=0.0, until_beat=8.0)
    assert names(grammar) == "Pitch_21..Pitch_108"
    say(grammar, "Pitch_60")
    assert names(grammar) == "Velocity_7..Velocity_127"
    say(grammar, "Velocity_79")
    assert names(grammar) == "Duration_0.1.12..Duration_8.0.12"
    say(grammar, "Duration_1.0.12")
    assert names(grammar) == "Pitch_61..Pitch_108 Position_1..Position_47 Bar_None"


def test_the_meter_is_the_maps() -> None:
    grammar = Grammar(tokenizer(Meter(0.0, 4, 4), Meter(4.0, 6, 8)), from_beat=2.0, until_beat=20.0)
    say(grammar, f"{C4} Bar_None")
    assert names(grammar) == "TimeSig_6/8"
    say(grammar, "TimeSig_6/8")
    assert names(grammar) == "Position_0..Position_71 Bar_None"


def test_no_second_empty_bar() -> None:
    grammar = Grammar(tokenizer(), from_beat=0.0, until_beat=32.0)
    say(grammar, f"{C4} Bar_None TimeSig_4/4 Bar_None TimeSig_4/4")
    assert names(grammar) == "Position_0..Position_47"
    say(grammar, f"Position_12 {C4} Bar_None TimeSig_4/4")
    assert names(grammar) == "Position_0..Position_47 Bar_None"


def test_ten_fingers() -> None:
    grammar = Grammar(tokenizer(), from_beat=0.0, until_beat=8.0)
    for pitch in range(40, 40 + MAX_NOTES_A_STEP):
        say(grammar, f"Pitch_{pitch} Velocity_79 Duration_1.0.12")
    assert names(grammar) == "Position_1..Position_47 Bar_None"


@pytest.mark.parametrize("last_word", ["Bar_None", "Position_24", "Position_40"])
def test_a_bar_or_position_beyond_the_end_ends_it(last_word: str) -> None:
    grammar = Grammar(tokenizer(), from_beat=0.0, until_beat=2.0)
    say(grammar, f"{C4} Position_23 {C4}")
    assert not grammar.finished
    say(grammar, last_word)
    assert grammar.finished


def test_a_span_without_a_step_is_finished_at_once() -> None:
    assert Grammar(tokenizer(), from_beat=4.0, until_beat=4.0).finished
    assert Grammar(tokenizer(), from_beat=4.0, until_beat=1.0).finished
    assert Grammar(tokenizer(), from_beat=4.01, until_beat=4.05).finished


meters = st.builds(
    Meter,
    beat=st.floats(0, 40),
    numerator=st.integers(1, 20),
    denominator=st.sampled_from([1, 2, 4, 8, 16, 32]),
)
maps = st.lists(meters, max_size=4, unique_by=lambda meter: meter.beat).map(
    lambda found: tuple(sorted(found, key=lambda meter: meter.beat))
)


@settings(deadline=None)
@given(maps, st.floats(-4, 40), st.floats(0.2, 40), st.integers(0, 2**32))
def test_any_choice_is_music_within_its_span(
    map_of_meters: tuple[Meter, ...], from_beat: float, length: float, seed: int
) -> None:
    """The laws of an answer, for a player that chooses blindly among what is allowed."""
    choice = random.Random(seed)
    words = tokenizer(*map_of_meters)
    grammar = Grammar(words, from_beat=from_beat, until_beat=from_beat + length)
    first_bar = grammar.bar.number
    tokens = [*words.open_bar(first_bar), VOCABULARY.positions[grammar.step]]
    while not grammar.finished:
        spans = grammar.allowed()
        assert spans and all(spans)
        token = choice.choice(choice.choice(spans))
        grammar.take(token)
        tokens.append(token)
    placed = words.read(tokens[:-1], first_bar=first_bar)
    notes = [words.note(note) for note in placed]

    assert placed == sorted(placed)
    assert len({note[:3] for note in placed}) == len(placed)
    assert all(from_beat - 1e-6 <= note.onset < from_beat + length for note in notes)
    if notes:
        step = 1 / 12
        assert notes[0].onset < from_beat + step
        onsets = [note.onset for note in notes]
        empty = silent_bars([*onsets, from_beat + length], map_of_meters, words)
        assert empty <= 1
    # What was chosen is what the tokenizer would write for these notes.
    spelled = words.spell(placed, first_bar=first_bar)
    assert tokens[: len(spelled)] == spelled


def silent_bars(onsets: list[float], meters: tuple[Meter, ...], words: Tokenizer) -> int:
    """The longest run of whole bars without an onset between two onsets."""
    bars = [words.grid.bar_at(onset).number for onset in onsets]
    return max((b - a - 1 for a, b in pairwise(bars)), default=0)
