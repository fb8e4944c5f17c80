"""Whose bar is it?"""

from itertools import product

import pytest

from daemon.session.turns import GIVE_WAY, TABLE, Action, Event, Mode, Phase, Turns
from engine.protocol import Meter

FOUR_FOUR = (Meter(0.0, 4, 4),)


def conversation(mode: Mode, *events: tuple[Event, float], bars: int = 4) -> list[str]:
    """Let the events happen at their beats; return each phase with the lines that are planned."""
    turns = Turns(mode, bars)
    told = []
    for event, beat in events:
        turns.on(event, beat=beat, meters=FOUR_FOUR)
        told.append(f"{turns.phase} {turns.entry_beat:g}-{turns.exit_beat:g}")
    return told


def test_a_trade_of_four_bars() -> None:
    assert conversation(
        Mode.TRADE,
        (Event.PLAYED, 0.0),
        (Event.PLAYED, 1.5),
        (Event.LEAD, 15.0),
        (Event.PLAYED, 15.5),
        (Event.LINE, 16.0),
        (Event.PLAYED, 20.0),
        (Event.LINE, 32.0),
        (Event.LEAD, 47.0),
        (Event.LINE, 48.0),
        (Event.LINE, 64.0),
    ) == [
        "listening 16-32",
        "listening 16-32",
        "cued 16-32",
        "cued 16-32",
        "answering 16-32",
        "answering 16-32",
        "listening 48-64",
        "cued 48-64",
        "answering 48-64",
        "listening 80-96",
    ]


def test_an_answer_after_a_silence() -> None:
    assert conversation(
        Mode.ANSWER,
        (Event.PLAYED, 0.0),
        (Event.SILENCE, 7.0),
        (Event.LINE, 7.0),
        (Event.LINE, 12.0),
        (Event.PLAYED, 13.0),
        (Event.SILENCE, 18.0),
        (Event.PLAYED, 18.2),
        (Event.SILENCE, 21.0),
        (Event.LINE, 21.0),
        (Event.PLAYED, 22.0),
        bars=1,
    ) == [
        "listening 0-0",
        "cued 7-12",
        "answering 7-12",
        "idle 7-12",
        "listening 7-12",
        "cued 18-24",
        "listening 18-24",
        "cued 21-28",
        "answering 21-28",
        "listening 21-28",
    ]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("before", [[], [(Event.PLAYED, 0.0)]])
def test_segue_enters_when_asked_and_leaves_when_asked(
    mode: Mode, before: list[tuple[Event, float]]
) -> None:
    told = conversation(
        mode,
        *before,
        (Event.TAKE_OVER, 6.0),
        (Event.TAKE_OVER, 5.0),
        (Event.LINE, 5.0),
        (Event.TAKE_OVER, 7.0),
        (Event.HAND_BACK, 9.0),
        bars=2,
    )
    assert told[len(before) :] == [
        "called 6-16",
        "called 5-16",
        "answering 5-16",
        "answering 5-16",
        "idle 5-16",
    ]


@pytest.mark.parametrize(
    ("beat", "entry"),
    [
        pytest.param(0.0, 16.0, id="on the first beat"),
        pytest.param(2.9, 16.0, id="in the bar"),
        pytest.param(3.0, 20.0, id="a pick-up belongs to the next bar"),
        pytest.param(3.98, 20.0, id="a little early on the next"),
        pytest.param(4.0, 20.0, id="on the line"),
    ],
)
def test_bars_are_counted_from_where_the_player_began(beat: float, entry: float) -> None:
    turns = Turns(Mode.TRADE, 4)
    assert turns.on(Event.PLAYED, beat=beat, meters=FOUR_FOUR) is Action.PLAN_TRADE
    assert (turns.entry_beat, turns.exit_beat) == (entry, entry + 16)


@pytest.mark.parametrize(
    ("meter", "beat", "entry"),
    [
        ((3, 4), 0.0, 6.0),
        ((3, 4), 2.0, 9.0),
        ((6, 8), 2.4, 6.0),
        ((6, 8), 2.5, 9.0),
        ((7, 8), 0.0, 7.0),
        ((1, 4), 0.4, 2.0),
        ((1, 4), 0.5, 3.0),
    ],
)
def test_trades_of_two_bars_in_other_meters(
    meter: tuple[int, int], beat: float, entry: float
) -> None:
    turns = Turns(Mode.TRADE, 2)
    turns.on(Event.PLAYED, beat=beat, meters=(Meter(0.0, *meter),))
    assert turns.entry_beat == entry


@pytest.mark.parametrize(("mode", "phase", "event"), list(product(Mode, Phase, Event)))
def test_what_is_not_in_the_table_changes_nothing(mode: Mode, phase: Phase, event: Event) -> None:
    turns = Turns(mode, 4, phase=phase, entry_beat=16.0, exit_beat=32.0)
    action = turns.on(event, beat=5.0, meters=FOUR_FOUR)
    if (mode, phase, event) in TABLE:
        expected = TABLE[mode, phase, event]
        expected = GIVE_WAY["stop"] if expected[1] is Action.GIVE_WAY else expected
        assert (turns.phase, action) == expected
    else:
        assert action is None
        assert turns == Turns(mode, 4, phase=phase, entry_beat=16.0, exit_beat=32.0)


@pytest.mark.parametrize(
    ("give_way", "phase", "exit_beat"),
    [("stop", "listening", 16), ("beat", "yielding", 10), ("along", "yielding", 16)],
)
def test_how_segue_gives_way(give_way: str, phase: str, exit_beat: float) -> None:
    turns = Turns(Mode.ANSWER, 2, give_way, Phase.ANSWERING, entry_beat=8.0, exit_beat=16.0)
    turns.on(Event.PLAYED, beat=9.3, meters=FOUR_FOUR)
    assert (turns.phase, turns.exit_beat) == (phase, exit_beat)


@pytest.mark.parametrize("give_way", GIVE_WAY)
def test_who_is_a_sixteenth_early_on_the_next_bar_takes_nothing_away(give_way: str) -> None:
    turns = Turns(Mode.ANSWER, 2, give_way, Phase.ANSWERING, entry_beat=8.0, exit_beat=16.0)
    assert turns.on(Event.PLAYED, beat=15.75, meters=FOUR_FOUR) is None
    assert (turns.phase, turns.exit_beat) == (Phase.YIELDING, 16.0)
    turns.on(Event.LINE, beat=16.0, meters=FOUR_FOUR)
    assert turns.phase is Phase.LISTENING


def test_bars_of_another_metre_are_counted_as_bars() -> None:
    turns = Turns(Mode.TRADE, 4)
    turns.on(Event.PLAYED, beat=0.0, meters=FOUR_FOUR)
    waltz = (*FOUR_FOUR, Meter(8.0, 3, 4))
    turns.change_meters(waltz)
    assert (turns.entry_beat, turns.exit_beat) == (14.0, 26.0)
    turns.on(Event.LEAD, beat=13.0, meters=waltz)
    turns.on(Event.LINE, beat=14.0, meters=waltz)
    turns.change_meters((*waltz, Meter(20.0, 5, 4)))
    assert (turns.entry_beat, turns.exit_beat) == (14.0, 30.0)


def test_to_follow_is_to_stay_for_one_bar_more() -> None:
    assert conversation(
        Mode.FOLLOW,
        (Event.PLAYED, 1.0),
        (Event.LEAD, 3.0),
        (Event.LINE, 4.0),
        (Event.PLAYED, 5.0),
        (Event.LEAD, 7.0),
        (Event.LEAD, 11.0),
        (Event.LINE, 16.0),
    ) == [
        "listening 4-8",
        "cued 4-8",
        "answering 4-8",
        "answering 4-8",
        "answering 4-12",
        "answering 4-16",
        "idle 4-16",
    ]


@pytest.mark.parametrize("mode", Mode)
def test_from_every_phase_a_stop_and_another_mode_lead_home(mode: Mode) -> None:
    for phase in set(Phase) - {Phase.IDLE}:
        for event in (Event.STOPPED, Event.MODE):
            after, action = TABLE[mode, phase, event]
            assert after is Phase.IDLE
            assert (action is Action.SILENCE) == (phase in (Phase.ANSWERING, Phase.YIELDING))


@pytest.mark.parametrize("mode", Mode)
def test_only_a_cue_leads_into_an_answer_and_only_with_a_draft(mode: Mode) -> None:
    for (table_mode, phase, event), (after, action) in TABLE.items():
        if table_mode is mode and after is Phase.ANSWERING is not phase:
            assert phase in (Phase.CUED, Phase.CALLED)
            assert (event, action) == (Event.LINE, Action.ENTER)
        if table_mode is mode and after in (Phase.CUED, Phase.CALLED):
            assert action in (Action.DRAFT, Action.CUE_LINE)
