"""Time: what lies beside the grid or outside of its turn is counted, and nothing else."""

import pytest

from models.evaluation.timing import crossing, on_grid
from models.judged import Sounding


def notes(*onsets, duration=0.5):
    return [Sounding(onset, 60, duration, 80) for onset in onsets]


@pytest.mark.parametrize(
    ("onset", "metre", "good"),
    [
        (8.0, (4, 4), 1),
        (8 + 1 / 12, (4, 4), 1),
        (8 + 1 / 3, (4, 4), 1),
        (8.04, (4, 4), 0),
        (8 + 1 / 24, (4, 4), 0),
        (8 + 1 / 24, (6, 8), 1),
    ],
)
def test_the_grid_is_twelve_steps_to_the_beat_of_the_metre(onset, metre, good):
    assert on_grid(notes(onset), metre, from_beat=8.0) == good


def test_what_begins_early_or_ends_late_crosses_the_handover():
    turn = {"from_beat": 8.0, "until_beat": 16.0}
    assert crossing(notes(8.0, 12.0, 15.5), **turn) == 0
    assert crossing(notes(7.9, 12.0, 15.6), **turn) == 2
    assert crossing(notes(8.0, duration=9.0), **turn) == 1
