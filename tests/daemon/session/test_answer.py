"""Which notes of which draft are played."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from musicians import tune

from daemon.session.answer import GRID_STEPS_PER_BEAT, Answer
from engine.protocol import Meter, Note

METERS = (Meter(0.0, 4, 4),)
LINE, END = 16.0, 20.0
HEARD = tune("C4 C4 C4 C4", beat=12)


def answer_with(*drafts: tuple[str, bool], frontier: float = LINE) -> Answer:
    """An answer from LINE on, with drafts of epoch 1, 2, ... (their tune, whether finished)."""
    answer = Answer(until_beat=END, frontier=frontier, seed=1)
    for epoch, (text, finished) in enumerate(drafts, start=1):
        answer.open_draft(epoch, LINE)
        for note in tune(text, beat=LINE):
            answer.add(epoch, note)
        if finished:
            answer.finish(epoch)
    return answer


def decided(answer: Answer, beat: float, *, heard: Sequence[Note] = HEARD) -> list[Note]:
    return answer.decide(beat, history=lambda: heard, meters=METERS)


def step_by_step(answer: Answer, *, heard: Sequence[Note] = HEARD) -> list[Note]:
    """Decide as the session does: whenever there is something to decide."""
    notes: list[Note] = []
    while answer.frontier < END:
        notes += decided(answer, answer.next_onset() + 1e-6, heard=heard)
    return notes


@pytest.mark.parametrize(
    ("drafts", "played"),
    [
        pytest.param([("C5 D5 E5 F5", True)], "C5 D5 E5 F5", id="one draft"),
        pytest.param([("C5 D5 E5 F5", True), ("G5 A5", False)], "G5 A5 E5 F5", id="newest leads"),
        pytest.param([("C5 D5 E5 F5", True), ("G5 A5", True)], "G5 A5", id="and may say no more"),
        pytest.param([("C5 D5 E5 F5", True), ("", False)], "C5 D5 E5 F5", id="newest is silent"),
        pytest.param([("C5 D5 E5 F5", True), ("", True)], "", id="newest means silence"),
        pytest.param([("C5 - - F5", False), ("", False)], "C5 - - F5", id="rests are covered"),
        pytest.param([], "C4 C4 C4 C4", id="the stand-in alone"),
        pytest.param([("C5 D5", True)], "C5 D5", id="a whole draft covers the rest"),
    ],
)
def test_the_newest_draft_that_has_come_so_far_decides(
    drafts: list[tuple[str, bool]], played: str
) -> None:
    answer = answer_with(*drafts)
    assert [(n.onset, n.pitch) for n in step_by_step(answer)] == [
        (n.onset, n.pitch) for n in tune(played, beat=LINE)
    ]


def test_the_stand_in_plays_where_a_draft_has_not_come_and_gives_way_when_it_has() -> None:
    answer = answer_with(("C5", False))
    early = decided(answer, 17.5)
    assert [note.onset for note in early] == [16.0]
    standing_in = decided(answer, 18.01)
    assert standing_in
    assert all(note.pitch == HEARD[0].pitch for note in standing_in)
    for note in tune("D5 E5", beat=18.5, step=0.5):
        answer.add(1, note)
    answer.finish(1)
    assert decided(answer, END) == tune("D5 E5", beat=18.5, step=0.5)


def test_the_stand_in_does_not_throw_notes_between_those_of_a_mind_in_time() -> None:
    answer = answer_with(("C5", False))
    assert [note.onset for note in decided(answer, 16.01)] == [16.0]
    assert decided(answer, 16.2) == []
    answer.add(1, tune("D5", beat=16.5)[0])
    assert [note.onset for note in decided(answer, 16.76)] == [16.5]
    assert decided(answer, 17.1), "but it does not wait for ever"


def test_a_mind_that_is_always_late_does_not_keep_the_stand_in_quiet() -> None:
    answer = answer_with(("C5", False), frontier=16.1)
    strikes = []
    for step in range(1, 36):
        strikes += decided(answer, 16.1 + step / 12)
        answer.add(1, Note(answer.frontier - 0.01, 100, 0.1, 80))
    assert len(strikes) >= 3
    assert 100 not in {note.pitch for note in strikes}


def test_where_a_draft_begins_later_the_stand_in_is_not_kept_waiting() -> None:
    """A new mind was asked from beat 18 on, and has its first note already."""
    answer = Answer(until_beat=END, frontier=LINE, seed=1)
    answer.open_draft(1, 18.0)
    answer.add(1, tune("C5", beat=19.0)[0])
    assert answer.next_onset() <= LINE + 1 / GRID_STEPS_PER_BEAT
    onsets = [note.onset for note in step_by_step(answer)]
    assert [onset for onset in onsets if onset < 18.0] == [16.0, 17.0]


def test_a_late_tone_of_a_chord_is_known_by_the_leader() -> None:
    answer = answer_with(("C5", True), ("", False))
    decided(answer, 16.1)
    assert answer.leader == 1
    assert not answer.add(1, tune("E5", beat=LINE)[0])
    assert answer.add(1, tune("E5", beat=17.0)[0])


def test_what_is_expected_is_what_the_drafts_will_play_and_never_the_stand_ins() -> None:
    answer = answer_with(("C5 D5 E5 F5", True), ("G5 A5", False))
    played = tune("G5 A5 E5", beat=LINE)
    assert answer.expected(19.0) == played
    assert answer.expected(19.0) == played, "to ask changes nothing"
    decided(answer, 17.0)
    assert answer.expected(19.0) == played[1:]
    assert answer_with().expected(END) == []


def test_the_leader_is_who_played_last() -> None:
    """The newer draft has the earlier note."""
    answer = answer_with(("- D5", True), ("C5", False))
    assert len(decided(answer, 17.5)) == 2
    assert answer.leader == 1


def test_the_stand_in_is_asked_only_when_it_has_to_play() -> None:
    answer = answer_with(("C5 D5 E5 F5", True))

    def nobody() -> list[Note]:
        raise AssertionError("the stand-in was asked")

    for beat in (16.5, 17.5, 19.0, END):
        answer.decide(beat, history=nobody, meters=METERS)


def test_a_draft_without_notes_makes_room_for_the_next() -> None:
    """A player who lets go of a ten-note chord asks ten times; what was whole is kept."""
    answer = answer_with(("C5 D5 E5 F5", True), *[("", False)] * 10)
    assert not answer.knows(5)
    assert [note.onset for note in step_by_step(answer)] == [16.0, 17.0, 18.0, 19.0]


pieces = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 48), st.integers(60, 72)), max_size=30
)


@given(pieces, st.lists(st.floats(14, 22), max_size=20), st.sets(st.integers(1, 4)))
def test_the_frontier_only_moves_forward_and_each_note_is_decided_once(
    notes: list[tuple[int, int, int]], beats: list[float], finished: set[int]
) -> None:
    answer = Answer(until_beat=END, frontier=LINE, seed=1)
    for epoch in range(1, 5):
        answer.open_draft(epoch, LINE)
        mine = sorted(step for which, step, _ in notes if which == epoch)
        for step in mine:
            answer.add(epoch, Note(LINE + step / 12, 59 + epoch, 0.1, 80))
        if epoch in finished:
            answer.finish(epoch)
    for beat in beats:
        before = answer.frontier
        found = decided(answer, beat)
        assert answer.frontier == max(before, min(beat, END))
        assert all(before <= note.onset < answer.frontier for note in found)
        assert found == sorted(found)
        assert answer.next_onset() >= answer.frontier
