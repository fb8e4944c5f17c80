"""Foils are what they say, and a judge is right, wrong or at chance as it deserves."""

import numpy as np
import pytest
from composers import Constant, Knowing, crotchets, tune

from models.evaluation.cases import PROMPT_BARS, answer_bars, case_at, cases_of
from models.evaluation.discrimination import FOILS, another_piece, foils_of, preferred
from models.evaluation.excerpts import excerpt, same_notes
from models.evaluation.keys import key_of
from models.judged import BAR, PITCH, STEP

PIECES = [tune(bars=20, seed=1), tune(bars=20, seed=2, root=62), tune(bars=20, seed=3, root=65)]
CASES = cases_of(PIECES, each=2, seed=0)


def foils(case):
    return foils_of(case, pieces=PIECES, others=CASES, seed=0)


def test_a_case_is_eight_bars_and_what_followed():
    case = case_at(PIECES[0], 10, index=0)
    assert same_notes(case.prompt, excerpt(PIECES[0], 2, 10))
    assert same_notes(case.truth, excerpt(PIECES[0], 10, 14))
    assert (case.from_beat, case.until_beat) == (32.0, 48.0)


@pytest.mark.parametrize(("metre", "bars"), [((4, 4), 4), ((3, 8), 6), ((2, 4), 4), ((1, 4), 8)])
def test_an_answer_has_four_bars_and_eight_beats_at_least(metre, bars):
    assert answer_bars(metre) == bars


def test_a_case_needs_bars_before_and_behind_and_one_metre():
    assert case_at(PIECES[0], PROMPT_BARS - 1, index=0) is None
    assert case_at(PIECES[0], 17, index=0) is None
    silent = crotchets(*[[60, 62, 64, 65]] * 8, *[[None]] * 4)
    assert case_at(silent, 8, index=0) is None
    assert {case.bar for case in CASES} <= set(range(8, 17))
    assert [case.piece for case in CASES] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.piece}.{case.bar}")
def test_every_foil_differs_from_the_truth_in_its_own_way(case):
    found = foils(case)
    assert set(found) <= set(FOILS)
    truth = case.truth.notes
    assert not any(same_notes(foil, case.truth) for foil in found.values())
    moved = found["transposed"].notes[:, PITCH] - truth[:, PITCH]
    assert len(set(moved.tolist())) == 1
    assert 1 <= abs(int(moved[0])) <= 6
    shuffled = found["shuffled"].notes
    assert sorted(map(tuple, shuffled[:, STEP : PITCH + 1].tolist())) == sorted(
        map(tuple, truth[:, STEP : PITCH + 1].tolist())
    )
    if "a bar off" in found:
        later = truth[truth[:, BAR] > 0][:, PITCH]
        off = found["a bar off"].notes
        assert off[off[:, BAR] < 3][:, PITCH].tolist() == later.tolist()


def test_another_piece_comes_in_the_prompts_key():
    known = {tuple(other.truth.notes[:, PITCH] % 12) for other in CASES}
    for case in CASES:
        foil = foils(case).get("another piece")
        if foil is None:
            continue
        tonic, _ = key_of(case.prompt)
        sources = [
            other
            for other in CASES
            if other.piece != case.piece
            and np.ptp(foil.notes - other.truth.notes, axis=0).max() == 0
        ]
        assert sources
        assert (foil.notes[0, PITCH] - sources[0].truth.notes[0, PITCH]) % 12 == (
            tonic - key_of(sources[0].prompt)[0]
        ) % 12
    assert len(known) == len(CASES)


@pytest.mark.parametrize("root", range(55, 67))
def test_another_piece_moves_to_the_key_by_the_shorter_way(root):
    pieces = [tune(bars=20, seed=1, root=60), tune(bars=20, seed=1, root=root)]
    here, there = cases_of(pieces, each=1, seed=0)
    foil = another_piece(here, [there])
    assert foil is not None
    shift = int(foil.notes[0, PITCH] - there.truth.notes[0, PITCH])
    assert abs(shift) <= 6


def test_a_loop_has_no_foil_that_is_the_truth():
    loop = crotchets(*[[60, 64, 67, 72]] * 20)
    (case,) = cases_of([loop], each=1, seed=0)
    assert set(foils_of(case, pieces=[loop], others=[case], seed=0)) == {"transposed"}


def whole(case):
    first = case.bar - PROMPT_BARS
    return excerpt(PIECES[case.piece], first, case.bar + len(case.truth.metres))


def trials(judge_of):
    return [
        preferred(judge_of(case), case.prompt, case.truth, foil)
        for case in CASES
        for foil in foils(case).values()
    ]


def test_who_knows_the_piece_is_always_right():
    assert set(trials(lambda case: Knowing(whole(case)))) == {1.0}


def test_who_hears_nothing_is_right_half_of_the_time():
    assert set(trials(lambda case: Constant())) == {0.5}


def test_who_loves_what_is_new_is_always_wrong():
    class Contrary(Knowing):
        def note_bits(self, music):
            return 8.0 - super().note_bits(music)

    assert set(trials(lambda case: Contrary(whole(case)))) == {0.0}


def test_loudness_decides_nothing():
    class Louder:
        def note_bits(self, music):
            bits = np.ones((len(music), 4))
            bits[:, 3] = music.notes[:, PITCH]
            return bits

    assert set(trials(lambda case: Louder())) == {0.5}
