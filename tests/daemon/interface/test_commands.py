"""The table of commands."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.interface import commands
from daemon.interface.commands import COMMANDS, CommandError
from daemon.interface.config import SessionConfig, Settings
from daemon.interface.events import CommandIn
from daemon.session.session import Session


@pytest.mark.parametrize(
    ("name", "given_", "taken"),
    [
        ("ping", [], ()),
        ("mode", ["answer"], ("answer",)),
        ("bars", [8], (8,)),
        ("bars", ["8"], (8,)),
        ("bars", [8.0], (8,)),
        ("bpm", [90], (90.0,)),
        ("bpm", ["97.5"], (97.5,)),
        ("temperature", [0], (0.0,)),
        ("take/record", [], ()),
        ("meter", [6, 8], (6, 8)),
        ("meter", ["7", "8"], (7, 8)),
        ("host/transport", [1.0, 4.0, 120.0], (1, 4.0, 120.0)),  # as Pure Data sends it
        ("host/transport", [True, 4, 120], (1, 4.0, 120.0)),  # OSC's own True
        ("host/transport", ["0", "-2.5", "97"], (0, -2.5, 97.0)),
        ("host/meter", [3, 4, 12.0], (3, 4, 12.0)),
        ("host/loop", [False, 0, 8], (0, 0.0, 8.0)),
    ],
)
def test_arguments_are_taken_in_their_kind(
    name: str, given_: list[object], taken: tuple[object, ...]
) -> None:
    checked = commands.check(name, given_)
    assert checked == taken
    assert list(map(type, checked)) == list(map(type, taken))


@pytest.mark.parametrize(
    ("name", "given_", "says"),
    [
        ("dance", [], "no command 'dance'; there are ping, state, mode, bars, "),
        ("", [], "no command ''"),
        ("bars", [], "usage: bars <1 to 64>"),
        ("bars", [1, 2], "usage: bars <1 to 64>"),
        ("ping", [1], "usage: ping"),
        ("bars", [0], "bars takes 1 to 64, not 0"),
        ("bars", [2.5], "bars takes 1 to 64, not 2.5"),
        ("bars", ["two"], "bars takes 1 to 64, not 'two'"),
        ("bars", [True], "bars takes 1 to 64, not True"),
        ("bars", [None], "bars takes 1 to 64, not None"),
        ("bars", [10**400], "bars takes 1 to 64, not 10000000"),
        ("bpm", [float("nan")], "bpm takes 20 to 400, not nan"),
        ("bpm", [float("inf")], "bpm takes 20 to 400, not inf"),
        ("mode", ["TRADE"], "mode takes off|trade|answer|follow, not 'TRADE'"),
        ("mode", [1], "mode takes off|trade|answer|follow, not 1"),
        ("meter", [4], "usage: meter <numerator: 1 to 16> <denominator: 2|4|8|16>"),
        ("meter", [4, 3], "denominator takes 2|4|8|16, not 3"),
        ("meter", [4, 4.5], "denominator takes 2|4|8|16, not 4.5"),
        ("meter", [4, True], "denominator takes 2|4|8|16, not True"),
        ("host/transport", [2, 0, 120], "playing takes 0|1, not 2"),
        ("host/transport", ["yes", 0, 120], "playing takes 0|1, not 'yes'"),
        ("host/transport", [1, float("inf"), 120], "beat takes -99999 to 99999, not inf"),
        ("host/transport", [1, 0, 0], "bpm takes 20 to 400, not 0"),
        ("host/loop", [1, 0, 0], "length takes 0.25 to 99999, not 0"),
        ("mode", [["off"]], "mode takes off|trade|answer|follow, not ['off']"),
    ],
)
def test_what_cannot_be_taken_gets_one_line(name: str, given_: list[object], says: str) -> None:
    with pytest.raises(CommandError) as caught:
        commands.check(name, given_)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.none()),
)


@given(st.sampled_from([command.name for command in COMMANDS]), st.lists(anything, max_size=4))
def test_whatever_is_given_is_taken_or_refused_and_what_is_taken_can_be_done(
    name: str, given_: list[object]
) -> None:
    try:
        checked = commands.check(name, given_)
    except CommandError:
        return
    Session(SessionConfig()).handle(CommandIn(0, name, checked))


def test_the_settings_of_a_session_are_those_of_the_table() -> None:
    names = [command.name for command in commands.settings()]
    assert [field.name for field in fields(Settings)] == names
    for command in commands.settings():
        assert getattr(Settings(), command.name) == command.default
        assert commands.check(command.name, [command.default]) == (command.default,)


def test_the_table_for_the_readme_has_a_row_for_each_command() -> None:
    rows = commands.markdown_table().splitlines()
    assert len(rows) == len(COMMANDS) + 2
    assert "| `bars <1 to 64>` | 4 | Length of a turn in bars. |" in rows
    assert all(row.replace("\\|", "").count("|") == 4 for row in rows)
