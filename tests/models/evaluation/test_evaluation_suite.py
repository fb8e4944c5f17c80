"""The whole suite on music and models that are known: each figure is where it has to be."""

import json

import numpy as np
import pytest
from composers import Constant, Knowing, crotchets, tune

from models.evaluation.copying import text_of
from models.evaluation.excerpts import excerpt, played
from models.evaluation.suite import Model, Style, evaluate_style, overall
from models.evaluation.table import as_json, as_text
from models.judged import Piece, Sounding

TUNES = [tune(bars=24, seed=seed) for seed in range(4)]
LIBRARY = [tune(bars=24, seed=seed) for seed in range(10, 16)]
STYLE = Style("tunes", judged=TUNES, train=LIBRARY, valid=LIBRARY[:2])


class Prophet:
    """An answerer who knows what comes: it finds the prompt in the tunes and plays on."""

    def __init__(self, *, late=0.0):
        self.late = late

    def answer(self, prompt, *, from_beat, until_beat, seed):
        for music in TUNES:
            for bar in range(len(music.metres) - len(prompt.metres)):
                there = excerpt(music, bar, bar + len(prompt.metres))
                if np.array_equal(there.notes, prompt.notes):
                    notes = played(excerpt(music, bar, len(music.metres)))
                    return [
                        note._replace(onset=note.onset + self.late)
                        for note in notes
                        if from_beat <= note.onset < until_beat
                    ]
        raise AssertionError("a prompt from nowhere")


class Silent:
    """An answerer with nothing to say."""

    def answer(self, prompt, *, from_beat, until_beat, seed):
        return []


class Parrot:
    """An answerer who plays the library's first bars, whatever it is asked."""

    def answer(self, prompt, *, from_beat, until_beat, seed):
        notes = played(excerpt(LIBRARY[0], 0, 4))
        return [note._replace(onset=note.onset + from_beat) for note in notes]


def figures(judged=None, answerer=None):
    model = Model(judged or Constant(), answerer or Prophet())
    return evaluate_style(
        STYLE, model, text=text_of(LIBRARY), places=3, seed=0, say=lambda line: None
    )


def values(found):
    return {path: one.value for path, one in found.items()}


def test_who_plays_what_followed_has_all_of_it():
    found = values(figures())
    for span in ("2", "4", "8"):
        assert found["continuation_f1", span] == 1
        assert found["pitch_overlap", span] == pytest.approx(1)
        repeating = found["baselines", "repeat", "continuation_f1", span]
        assert 0 < found["f1_above_repeat", span] == pytest.approx(1 - repeating)
    assert found["distance",] == pytest.approx(0, abs=1e-12)
    assert found["distance_floor",] > 0
    assert found["distance_over_floor",] == pytest.approx(0, abs=1e-9)
    assert found["on_grid",] == 1
    assert found["crossing",] == 0
    assert found["copying", "train", "answer"] == found["copying", "train", "human"]
    assert found["copying", "train", "answer_above_band"] <= 0.15
    assert found["copying", "loop_rate", "answer"] == 0
    still = found["copying", "standing_still", "answer"]
    assert still == found["copying", "standing_still", "human"] < 1


def test_who_says_nothing_has_nothing():
    found = values(figures(answerer=Silent()))
    assert found["continuation_f1", "8"] == 0
    assert found["pitch_overlap", "8"] == 0
    assert found["empty_bars", "answer"] == 1
    assert found["empty_bars", "human"] == 0
    assert np.isnan(found["on_grid",])
    assert found["copying", "train", "answer"] == 0


def test_who_plays_the_training_set_is_caught():
    found = values(figures(answerer=Parrot()))
    assert found["copying", "train", "answer"] == 16
    assert found["copying", "train", "answer_above_band"] == 1
    assert found["copying", "train", "human"] < 8
    assert found["distance_over_floor",] == pytest.approx(
        found["distance",] / found["distance_floor",]
    )


def test_who_is_late_is_off_the_grid_and_over_the_line():
    found = values(figures(answerer=Prophet(late=0.03)))
    assert found["on_grid",] == 0
    assert found["crossing",] == pytest.approx(1 / 16)
    assert found["continuation_f1", "8"] == 1  # it is the same music


def test_the_judge_is_judged():
    deaf, knowing = figures(Constant()), figures(Knowing(TUNES[0]))
    assert deaf["discrimination",].value == 0.5
    assert deaf["discrimination",].interval == (0.5, 0.5)
    assert deaf["bits_per_note", "total"].value == 4
    assert deaf["bits_per_note", "pitch"].value == 1
    assert knowing["bits_per_note", "total"].value < 32


def test_the_markov_model_is_beaten_by_who_pays_less():
    found = values(figures())
    baseline = found["baselines", "markov", "bits_per_note"]
    assert found["bits_below_markov",] == pytest.approx(1 - 4 / baseline)


def test_everything_is_the_same_again_with_the_same_seed():
    first, second = values(figures()), values(figures())
    first.pop(("note_ms",)), second.pop(("note_ms",))
    assert first == second


def test_all_styles_count_alike_and_counts_add_up():
    one = figures()
    both = overall([one, figures(answerer=Silent())])
    assert both["continuation_f1", "4"].value == 0.5
    assert both["pieces",].value == 8
    assert both["on_grid",].value == 1  # of those who played


def test_a_style_without_a_place_to_answer_has_bits_and_no_more():
    short = Style("short", judged=[tune(bars=4)], train=LIBRARY, valid=[])
    found = evaluate_style(
        short, Model(Constant(), Silent()), text=text_of([]), places=2, seed=0, say=print
    )
    report = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert report["bits_per_note"]["total"] == 4
    assert report["continuation_f1"] == {"2": None, "4": None, "8": None}
    assert report["discrimination"] is None


def test_the_report_has_the_keys_that_others_read():
    report = as_json(figures())
    assert set(report["bits_per_note"]) == {"total", "onset", "pitch", "duration", "velocity"}
    assert set(report["continuation_f1"]) == {"2", "4", "8"}
    for key in ("discrimination", "distance", "distance_floor", "on_grid"):
        assert isinstance(report[key], float | int)
    assert set(report["baselines"]) == {"repeat", "markov", "random"}
    assert set(report["copying"]) == {"train", "prompt", "loop_rate", "standing_still"}
    low, high = report["intervals"]["distance_floor"]
    assert low <= report["distance_floor"] <= high


def test_the_table_has_a_row_a_style_and_one_for_all():
    found = figures()
    text = as_text(overall([found]), {"tunes": found})
    blocks = text.split("\n\n")
    assert all(block.count("\n  tunes") == block.count("\n  all styles") == 1 for block in blocks)
    assert blocks[2].split("\n")[2].split()[:4] == ["tunes", "1", "1", "1"]


def test_a_piece_of_another_metre_does_not_stand_in_the_way():
    waltz = crotchets(*[[60, 64, 67], [62, 65, 69]] * 12, metre=(3, 4))
    mixed = Piece(TUNES[0].metres[:9] + waltz.metres, TUNES[0].notes[:36], ends=True)
    style = Style("mixed", judged=[waltz, mixed, *TUNES], train=LIBRARY, valid=[])
    found = evaluate_style(
        style, Model(Constant(), Waltz()), text=text_of([]), places=2, seed=0, say=print
    )
    assert found["prompts",].value == 2 * 5


class Waltz:
    """An answerer with one note for everything."""

    def answer(self, prompt, *, from_beat, until_beat, seed):
        return [Sounding(from_beat, 60, 1.0, 80)]
