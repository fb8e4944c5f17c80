"""Copying: what is copied is found, whatever its key, and what is not copied is not."""

import numpy as np
from composers import crotchets, piece, pieces, tune
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.evaluation.copying import band_of, longest_shared, loops, stands_still, text_of
from models.evaluation.excerpts import excerpt, transposed
from models.judged import BAR, PITCH, STEP

LIBRARY = [tune(bars=16, seed=seed) for seed in range(6)]
TEXT = text_of(LIBRARY)


@settings(max_examples=40)
@given(pieces(least=1), st.integers(-12, 12))
def test_a_piece_of_the_text_is_found_whole_in_any_key(music, semitones):
    moved = transposed(music, semitones)
    assume(moved is not None)
    assert longest_shared([moved], text_of([*LIBRARY, music])) == [len(music)]


@settings(max_examples=40)
@given(st.integers(0, 5), st.integers(0, 12), st.integers(1, 4), st.integers(-12, 12))
def test_a_passage_is_found_at_its_length(which, bar, bars, semitones):
    passage = transposed(excerpt(LIBRARY[which], bar, bar + bars), semitones)
    assert longest_shared([passage], TEXT) == [4 * bars]


@settings(max_examples=40)
@given(pieces(most=16), pieces(most=16))
def test_the_longest_passage_is_the_one_that_looking_everywhere_finds(query, text):
    def steps(music):
        return list(
            zip(
                np.diff(music.notes[:, PITCH]).tolist(),
                np.diff(music.onsets).tolist(),
                strict=True,
            )
        )

    here, there = steps(query), steps(text)
    found = {tuple(there[i:j]) for i in range(len(there)) for j in range(i + 1, len(there) + 1)}
    longest = max(
        (
            j - i
            for i in range(len(here))
            for j in range(i + 1, len(here) + 1)
            if tuple(here[i:j]) in found
        ),
        default=0,
    )
    assert longest_shared([query], text_of([text])) == [longest + 1]


def test_no_passage_goes_over_the_end_of_a_piece():
    first, second = crotchets([60, 62, 64, 65]), crotchets([67, 69, 71, 72])
    both = crotchets([60, 62, 64, 65], [67, 69, 71, 72])
    assert longest_shared([both], text_of([first, second])) == [4]
    assert longest_shared([both], text_of([both])) == [8]


def test_one_change_ends_a_passage():
    query = crotchets([60, 62, 64, 65], [67, 66, 71, 72])
    text = text_of([crotchets([60, 62, 64, 65], [67, 69, 71, 72])])
    assert longest_shared([query], text) == [5]
    later = piece([(0, 0, 60, 12), (0, 12, 62, 12), (0, 25, 64, 12), (0, 36, 65, 12)])
    assert longest_shared([later], text) == [2]


def test_many_queries_do_not_disturb_each_other():
    queries = [excerpt(LIBRARY[1], 2, 5), piece([]), piece([(0, 0, 60, 12)]), LIBRARY[3]]
    assert longest_shared(queries, TEXT) == [12, 0, 1, 64]
    assert longest_shared([], TEXT) == []
    assert longest_shared([LIBRARY[0]], text_of([])) == [1]


def test_the_band_is_the_middle_of_what_people_do():
    assert band_of(list(range(1, 202))) == (6.0, 196.0)


def test_loops_are_bars_that_come_again():
    assert loops(crotchets([60, 62], [64, 65], [60, 62], [60, 62])) == (2, 4)
    assert loops(crotchets([60, 62], [None], [60, 62])) == (1, 2)
    assert loops(tune(bars=8)) == (0, 8)


def test_a_loop_is_one_of_notes_and_places_not_of_loudness():
    music = crotchets([60, 62], [60, 62])
    music.notes[:, 4] = [30, 40, 50, 60]
    assert loops(music) == (1, 2)
    music.notes[music.notes[:, BAR] == 1, STEP] += 1
    assert loops(music) == (0, 2)


def test_who_plays_a_beat_three_times_on_end_stands_still():
    assert stands_still(crotchets([60, 62, 62, 62]))
    assert stands_still(crotchets([60, 62, 64, 62], [64, 62, 64, 60]))  # half a bar, over the line
    assert not stands_still(crotchets([60, 62, 62, 60], [60, 62, 60, 64]))
    assert not stands_still(crotchets([62, None, 62, None], [None, None, 62, None]))
    assert not stands_still(tune(bars=8))
    assert not stands_still(crotchets([None]))


def test_what_is_struck_beside_it_is_no_standstill():
    music = crotchets([62, 62, 62, 62], [62, 62, 62, 62])
    assert stands_still(music)
    above = crotchets([72, 74, 76, 77], [79, 81, 83, 84])
    assert not stands_still(piece([*music.notes.tolist(), *above.notes.tolist()]))
    music.notes[:, STEP] += [0, 0, 3, 0] * 2  # and nor is what comes at another place
    assert not stands_still(music)


def test_in_eighths_a_beat_is_three_of_them():
    notes = [(0, 12 * step, 60 + step % 3, 12, 80) for step in range(9)]
    assert stands_still(piece(notes, metre=(9, 8)))
    repeated = [(0, 12 * step, 60 + (step > 2), 12, 80) for step in range(6)]
    assert not stands_still(piece(repeated, metre=(9, 8)))
