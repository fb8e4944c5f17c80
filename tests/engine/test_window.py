"""What the model sees of a long session."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.protocol import Note
from engine.tokens import Placed, Tokenizer
from engine.window import MOST_EMPTY, Window, window_of
from models.vocabulary import standard_vocabulary

VOCABULARY = standard_vocabulary()
TOKENIZER = Tokenizer(VOCABULARY, ())


def placed(*notes: tuple[float, int]) -> list[Placed]:
    found = [TOKENIZER.place(Note(onset, pitch, 1.0, 80)) for onset, pitch in notes]
    return sorted(note for note in found if note is not None)


def quarters(bars: int) -> list[Placed]:
    return placed(*((float(beat), 60 + beat % 12) for beat in range(4 * bars)))


def text(window: Window, **options: int) -> str:
    return " ".join(VOCABULARY.tokens[t] for t in window.spell(TOKENIZER, **options))


def first_bar(window: Window) -> int:
    return window.notes[0].bar


def test_a_short_session_is_seen_whole() -> None:
    music = quarters(4)
    window = window_of(music, len(music), budget=100)
    assert window.notes == tuple(music)
    assert window.spell(TOKENIZER) == [VOCABULARY.bos, *TOKENIZER.spell(music, first_bar=0)]


def test_a_long_session_is_seen_from_a_block_of_eight_bars_on() -> None:
    """A bar of quarters is 18 tokens, so 400 hold 22 bars: two blocks and what has begun."""
    starts = []
    for bars in range(20, 48):
        music = quarters(bars)
        starts.append(first_bar(window_of(music, len(music), budget=400)))
    assert starts == [0] * 3 + [8] * 8 + [16] * 8 + [24] * 8 + [32]


def test_dense_music_is_seen_from_a_smaller_block_on() -> None:
    music = quarters(21)
    assert first_bar(window_of(music, len(music), budget=100)) == 16
    assert first_bar(window_of(music, len(music), budget=60)) == 18
    assert first_bar(window_of(music, len(music), budget=40)) == 19


def test_of_a_bar_that_is_too_dense_the_last_notes_are_seen() -> None:
    music = placed(*((step / 12, 60) for step in range(48)))
    window = window_of(music, len(music), budget=50)
    assert window.notes == tuple(music[-12:])
    assert len(window.spell(TOKENIZER)) == 51


def test_bars_are_written_up_to_the_answer() -> None:
    window = window_of(placed((0.0, 60)), 1, budget=100)
    bar = "Bar_None TimeSig_4/4"
    note = "Position_0 Pitch_60 Velocity_79 Duration_1.0.12"
    assert text(window, last_bar=2) == f"BOS_None {bar} {note} {bar} {bar}"
    assert text(Window(()), last_bar=7) == f"BOS_None {bar}"


def test_an_hour_of_silence_is_told_as_a_few_bars() -> None:
    hour = 1800 * 4.0
    window = window_of(placed((0.0, 60), (hour, 60)), 2, budget=100)
    bar = "Bar_None TimeSig_4/4"
    note = "Position_0 Pitch_60 Velocity_79 Duration_1.0.12"
    silence = " ".join([bar] * MOST_EMPTY)
    assert text(window) == f"BOS_None {bar} {note} {silence} {bar} {note}"
    assert text(window, last_bar=10**6) == f"{text(window)} {silence} {bar}"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 400), st.integers(21, 108)), max_size=150),
    st.integers(50, 400),
    st.integers(0, 20),
)
def test_the_window_is_the_end_of_the_session_and_fits(
    notes: list[tuple[float, int]], budget: int, more_bars: int
) -> None:
    music = placed(*notes)
    window = window_of(music, len(music), budget=budget)
    count = len(window.notes)
    assert window.notes == tuple(music[len(music) - count :])
    assert bool(count) == bool(music)
    assert len(window.spell(TOKENIZER)) <= budget + 1
    if music:
        last_bar = music[-1].bar + more_bars
        spelled = window.spell(TOKENIZER, last_bar=last_bar)
        assert len(spelled) <= budget + 1 + 2 * (MOST_EMPTY + 1)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 200), st.integers(21, 108)), min_size=1, max_size=100),
    st.integers(50, 200),
)
def test_the_window_never_moves_back_while_the_music_grows(
    notes: list[tuple[float, int]], budget: int
) -> None:
    """So an answer needs no notes from before its window, however long it gets."""
    music = placed(*notes)
    begins = [
        end - len(window_of(music, end, budget=budget).notes) for end in range(1, len(music) + 1)
    ]
    assert begins == sorted(begins)
