"""Whatever is chosen among what is allowed, rows make a well formed answer."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.grammar import MAX_NOTES_A_STEP
from engine.note_grammar import NoteGrammar
from engine.protocol import Meter
from engine.tokens import Tokenizer
from models.nested.events import KEYS, POSITIONS, REST, RESTS
from models.vocabulary import standard_vocabulary

VOCABULARY = standard_vocabulary()
P = POSITIONS


def grammar(from_beat: float, until_beat: float, *meters: Meter) -> NoteGrammar:
    tokenizer = Tokenizer(VOCABULARY, meters)
    return NoteGrammar(tokenizer, from_beat=from_beat, until_beat=until_beat)


def test_behind_a_note_comes_one_above_it_or_later_or_a_short_rest() -> None:
    answer = grammar(0.0, 16.0)
    answer.take_key(40)
    assert answer.onsets() == [
        range(48),
        range(P, P + 48),
        range(REST, REST + 1),
        range(REST + 2, REST + RESTS),
    ]
    answer.take_onset(0)
    assert answer.keys() == (range(41, KEYS),)
    answer.take_onset(5)
    assert answer.keys() == (range(KEYS),)


def test_the_next_bar_has_the_steps_of_its_own_metre() -> None:
    answer = grammar(0.0, 16.0, Meter(0.0, 4, 4), Meter(4.0, 6, 8))
    assert answer.onsets()[:2] == [range(48), range(P, P + 72)]


def test_an_answer_never_falls_silent() -> None:
    answer = grammar(0.0, 16.0)
    answer.take_key(40)
    answer.take_onset(REST)
    assert answer.rested and not answer.finished
    assert answer.onsets() == [range(P, P + 48)]
    answer.take_onset(P)
    assert answer.bar.number == 2


def test_what_leads_to_the_end_or_past_it_ends() -> None:
    for until, symbol, finished in (
        (2.0, 23, False),
        (2.0, 24, True),
        (4.0, P, True),
        (4.5, P, False),
        (4.5, P + 6, True),
        (8.0, REST, True),
        (8.5, REST, False),
        (16.0, REST + 2, True),
    ):
        answer = grammar(0.0, until)
        answer.take_key(40)
        assert any(symbol in span for span in answer.onsets())
        answer.take_onset(symbol)
        assert answer.finished is finished, (until, symbol)


def test_an_empty_span_is_finished_at_once() -> None:
    assert grammar(4.0, 4.0).finished


@settings(deadline=None)
@given(
    meters=st.sampled_from([(), (Meter(0.0, 3, 4), Meter(9.0, 7, 8)), (Meter(0.0, 11, 8),)]),
    from_beat=st.floats(0, 20),
    beats=st.floats(0.1, 24),
    data=st.data(),
)
def test_any_choice_makes_notes_in_order(
    meters: tuple[Meter, ...], from_beat: float, beats: float, data: st.DataObject
) -> None:
    answer = grammar(from_beat, from_beat + beats, *meters)
    notes: list[tuple[int, int, int]] = []
    silent = 0
    while not answer.finished:
        if not answer.rested:
            key = data.draw(st.sampled_from(answer.keys()[0]))
            answer.take_key(key)
            notes.append((answer.bar.number, answer.step, key))
        spans = answer.onsets()
        assert spans and all(spans)
        symbols = [symbol for span in spans for symbol in span]
        assert len(set(symbols)) == len(symbols)
        answer.take_onset(data.draw(st.sampled_from(symbols)))
        silent = silent + 1 if answer.rested else 0
        assert silent <= 1
    assert notes == sorted(set(notes))
    here = [sum(note[:2] == other[:2] for other in notes) for note in notes]
    assert max(here, default=0) <= MAX_NOTES_A_STEP
