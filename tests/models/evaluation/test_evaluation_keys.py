"""The key of a piece, in all of them."""

import pytest
from composers import crotchets, piece

from models.evaluation.keys import key_of

MAJOR_TUNE = ([0, 4, 7, 12], [5, 9, 7, 4], [2, 7, 11, 7], [0, 4, 7, 0])
MINOR_TUNE = ([0, 3, 7, 12], [5, 8, 7, 3], [2, 7, 11, 7], [0, 3, 7, 0])


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("tune", "minor"), [(MAJOR_TUNE, False), (MINOR_TUNE, True)])
def test_a_tune_is_heard_in_its_key(tonic, tune, minor):
    bars = [[55 + tonic + step for step in bar] for bar in tune]
    assert key_of(crotchets(*bars)) == ((55 + tonic) % 12, minor)


def test_silence_has_a_key_too():
    assert key_of(piece([])) == (0, False)
