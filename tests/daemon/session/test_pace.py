"""How fast the mind is."""

import pytest

from daemon.session.pace import FEWEST, LONGEST_NS, SHORTEST_NS, Pace

MS = 1_000_000
UNKNOWN = 150 * MS


def after(*times_ms: float) -> Pace:
    """A mind whose answers took so long, one after the other."""
    pace = Pace()
    for epoch, ms in enumerate(times_ms):
        pace.asked(epoch, 0)
        pace.answered(epoch, round(ms * MS))
    return pace


def test_nothing_is_known_at_first() -> None:
    assert Pace().reaction_ns(UNKNOWN) == UNKNOWN
    assert after(*[10] * (FEWEST - 1)).reaction_ns(UNKNOWN) == UNKNOWN


@pytest.mark.parametrize(
    ("times_ms", "expected_ns"),
    [
        ([100] * 20, 150 * MS),
        ([100] * 38 + [400] * 2, 150 * MS),
        ([100] * 36 + [400] * 4, 600 * MS),
        ([1] * 20, SHORTEST_NS),
        ([5000] * 20, LONGEST_NS),
        ([900] * 40 + [100] * 40, 150 * MS),
    ],
)
def test_what_nineteen_in_twenty_have_taken_and_half_of_it_again(
    times_ms: list[float], expected_ns: int
) -> None:
    assert after(*times_ms).reaction_ns(UNKNOWN) == expected_ns


def test_only_the_first_note_of_the_newest_answer_counts() -> None:
    pace = after(*[100] * FEWEST)
    pace.asked(90, 0)
    pace.asked(91, 0)
    pace.answered(90, 900 * MS)
    pace.answered(91, 100 * MS)
    pace.answered(91, 5000 * MS)
    assert pace.reaction_ns(UNKNOWN) == 150 * MS
