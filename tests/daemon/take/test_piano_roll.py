"""The picture of a take, looked at as far as a test can."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from daemon.take.piano_roll import COLOURS, WIDTH, _shade, draw_piano_roll
from daemon.take.whole_file import NotWritten
from engine.protocol import Meter, Note

FOUR_FOUR = (Meter(0.0, 4, 4),)
PLAYER, SEGUE = COLOURS[:2]


def draw(path, player=(), segue=(), *, meters=FOUR_FOUR, handovers=()):
    draw_piano_roll(
        path,
        parts=[("player", player), ("Segue", segue)],
        meters=meters,
        handovers=handovers,
        title="Ode to Joy",
        subtitle="112 bpm",
    )
    return Image.open(path).convert("RGB")


def colours_of(image):
    return {colour for _, colour in image.getcolors(1 << 24)}


def scale(bars, *, first=0.0):
    return [Note(first + beat, 60 + beat % 12, 0.9, 80) for beat in range(4 * bars)]


def test_both_are_seen_in_their_colours_and_loudness(tmp_path):
    image = draw(
        tmp_path / "take.png",
        [Note(0.0, 60, 1.0, 90), Note(1.0, 62, 1.0, 40)],
        [Note(4.0, 60, 1.0, 70)],
        handovers=[(0.0, "player"), (4.0, "Segue")],
    )
    seen = colours_of(image)
    assert {_shade(PLAYER, 90), _shade(PLAYER, 40), _shade(SEGUE, 70)} <= seen
    assert {PLAYER, SEGUE} <= seen, "the flags of the handovers"
    assert image.width == WIDTH


def test_a_long_take_is_broken_into_rows(tmp_path):
    one = draw(tmp_path / "8.png", scale(8)).height
    four = draw(tmp_path / "32.png", scale(32)).height
    assert 3 * one < four < 4 * one
    assert draw(tmp_path / "33.png", scale(33)).height > four


def test_the_longest_take_is_still_a_picture(tmp_path):
    image = draw(
        tmp_path / "hours.png", scale(5000), handovers=[(16.0 * n, "me") for n in range(999)]
    )
    assert image.height < 10_000


def test_a_key_struck_early_opens_no_bar_of_its_own(tmp_path):
    played = [Note(-0.02, 60, 1.0, 80), *scale(8)[1:]]
    assert draw(tmp_path / "a.png", played).height == draw(tmp_path / "b.png", scale(8)).height


def test_meters_change_within_a_row(tmp_path):
    meters = [Meter(0.0, 3, 4), Meter(6.0, 7, 8), Meter(9.5, 4, 4)]
    draw(tmp_path / "take.png", scale(6), meters=meters, handovers=[(6.0, "Segue")])


def test_a_take_without_a_note(tmp_path):
    assert draw(tmp_path / "take.png", meters=()).height > 200


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(NotWritten, match="make it first"):
        draw(tmp_path / "no" / "take.png")


notes = st.builds(
    Note, st.floats(-1, 60), st.integers(0, 127), st.floats(0.001, 30), st.integers(1, 127)
)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(notes, max_size=12),
    st.lists(notes, max_size=12),
    st.lists(st.tuples(st.floats(-4, 80), st.sampled_from(["player", "Segue", ""])), max_size=5),
)
def test_any_take_can_be_drawn(tmp_path_factory, player, segue, handovers):
    draw(tmp_path_factory.getbasetemp() / "any.png", player, segue, handovers=handovers)
