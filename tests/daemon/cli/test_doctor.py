"""What `segue doctor` makes of a mind that does not start: one line, with one thing to do."""

import queue

import pytest

from daemon.cli.doctor import Finding, check_mind, heard_of_mind, refused_by_mind
from daemon.interface.config import Config, MindConfig
from engine.protocol import FromMind, Lost, Ready

OURS = MindConfig()
MINE = MindConfig(checkpoint="mine")


def heard(*values: FromMind, config: MindConfig = OURS) -> Finding:
    said: queue.SimpleQueue[FromMind] = queue.SimpleQueue()
    for value in values:
        said.put(value)
    return heard_of_mind(said, config, began_s=0.0)


def test_what_the_mind_says_itself_mends_it_and_nothing_else_does() -> None:
    reason = (
        "the mind ended with code 2: segue engine: there is no checkpoint mine.json; "
        "name one that exists, or make one with `segue train`"
    )
    assert heard(Lost(reason), config=MINE).line == (
        "!!  mind: does not start: there is no checkpoint mine.json; "
        "name one that exists, or make one with `segue train`"
    )


def test_nobody_at_the_address_is_to_be_started_there() -> None:
    reason = "no mind answers at tcp://127.0.0.1:7; start one there with `segue engine`"
    finding = refused_by_mind(reason, MindConfig(address="tcp://127.0.0.1:7"))
    assert finding.mend == "start one there with `segue engine`"


@pytest.mark.parametrize(
    ("config", "mend"),
    [
        (OURS, "install Segue again"),
        (MINE, "name another checkpoint"),
        (MindConfig(address="tcp://127.0.0.1:7"), "start it again"),
    ],
)
def test_a_mind_that_names_no_remedy_gets_one(config: MindConfig, mend: str) -> None:
    finding = heard(Lost("the mind was killed by signal 9"), config=config)
    assert finding.found == "does not start: the mind was killed by signal 9"
    assert finding.mend is not None
    assert mend in finding.mend


def test_a_mind_that_is_ready_needs_nothing() -> None:
    assert heard(Ready("paper", 6_200_000, 1)).line.startswith("ok  mind: paper, 6.2M parameters")


def test_a_mind_on_another_machine_without_keys_is_one_line() -> None:
    config = Config(mind=MindConfig(address="tcp://192.168.1.20:7340"))
    (finding,) = check_mind(config)
    assert finding.mend is not None
    assert "segue engine --make-keys" in finding.mend
