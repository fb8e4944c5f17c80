"""Music made by hand, bar by bar, and judges that are known through and through."""

import numpy as np
from hypothesis import strategies as st

from models.judged import FIELDS, Piece


def piece(rows, *, bars=None, metre=(4, 4), ends=False):
    """A piece of (bar, step, pitch, duration in steps[, velocity]) rows, in any order."""
    rows = sorted((*row, 79)[:5] for row in rows)
    count = bars or (rows[-1][0] + 1 if rows else 1)
    notes = np.array(rows, dtype=np.int64).reshape(-1, 5)
    return Piece((metre,) * count, notes, ends=ends)


def crotchets(*bars, metre=(4, 4)):
    """A melody: each bar a list of pitches, one a beat; None is a rest."""
    rows = [
        (bar, 12 * beat, pitch, 12)
        for bar, pitches in enumerate(bars)
        for beat, pitch in enumerate(pitches)
        if pitch is not None
    ]
    return piece(rows, bars=len(bars), metre=metre)


def tune(*, bars=16, root=60, seed=1):
    """A tune with a bar of its own everywhere: no two bars are alike."""
    random = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    return crotchets(*[(root + random.choice(scale, 4)).tolist() for _ in range(bars)])


@st.composite
def pieces(draw, *, least=1, most=24, bars=4):
    """Any music of some bars in a metre of the vocabulary."""
    metre = draw(st.sampled_from([(4, 4), (3, 4), (2, 4), (6, 8), (5, 8)]))
    places = draw(
        st.lists(
            st.tuples(
                st.integers(0, bars - 1), st.integers(0, 12 * metre[0] - 1), st.integers(40, 80)
            ),
            min_size=least,
            max_size=most,
            unique=True,
        )
    )
    rest = st.tuples(st.integers(1, 96), st.sampled_from([7, 47, 79, 127]))
    rows = [(*place, *draw(rest)) for place in places]
    return piece(rows, bars=bars, metre=metre)


class Constant:
    """A judge to whom every note costs the same."""

    def __init__(self, *bits):
        self.bits = bits or (1.0, 1.0, 1.0, 1.0)

    def note_bits(self, music):
        return np.tile(self.bits, (len(music), 1)).astype(float)


class Knowing:
    """A judge who knows one piece by heart: the notes of it are free, others cost."""

    def __init__(self, known):
        self.known = {tuple(row) for row in known.notes.tolist()}

    def note_bits(self, music):
        costs = [0.0 if tuple(row) in self.known else 8.0 for row in music.notes.tolist()]
        return np.tile(np.array(costs)[:, None], (1, len(FIELDS)))
