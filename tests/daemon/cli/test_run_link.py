"""`segue run` and Ableton Link: who is joined, and who gets a tempo."""

import argparse
import sys
from pathlib import Path

import pytest

from bridges.control import Reply
from bridges.link import LinkBridge
from daemon.cli.run import add_arguments, config_of, handle_command, link_of, run
from daemon.clock.source import Source
from daemon.interface.config import Config
from daemon.interface.events import HostIn
from daemon.runtime.runtime import Runtime
from daemon.take.journal import JournalWriter


def parsed(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(flags)


@pytest.mark.parametrize(
    ("flags", "joins"),
    [
        ((), False),
        (("--link",), True),
        (("--clock", "link"), True),
        (("--clock", "midi", "--link"), False),
    ],
)
def test_it_is_joined_where_it_may_be_followed(flags: tuple[str, ...], joins: bool) -> None:
    assert config_of(parsed(*flags)).joins_link is joins


@pytest.mark.parametrize("flags", [("--link",), ("--clock", "link")])
def test_without_aalink_it_does_not_start_and_says_why(
    flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "aalink", None)
    assert run(parsed(*flags)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("segue run: Ableton Link needs aalink: pip install 'segue[link]'")


class TempoOnly(LinkBridge):
    """A peer that was never opened, and notes the tempo it is given."""

    bpm: float | None = None

    def set_bpm(self, bpm: float) -> None:
        self.bpm = bpm


@pytest.mark.parametrize(("leader", "given"), [("internal", 97.0), ("link", 97.0), ("host", None)])
def test_the_tempo_is_links_unless_another_host_leads(
    leader: Source, given: float | None, tmp_path: Path
) -> None:
    config = Config()
    journal = JournalWriter(
        tmp_path / "a.journal", session=config.session, started="now", trouble=print
    )
    runtime = Runtime(config.session, journal=journal)
    if leader == "host" or leader == "link":
        runtime.session.handle(HostIn(1, leader, True, 0.0, 120.0))
    assert runtime.session.leader == leader
    link = TempoOnly(bpm=120.0, bar_beats=4.0, start_stop=False, report=runtime.receive_link)
    assert handle_command(runtime, link, "bpm", (97,)) == Reply.done(97.0)
    assert link.bpm == given
    assert not handle_command(runtime, link, "bpm", (7,)).ok


def test_its_bars_are_ours() -> None:
    config = config_of(parsed("--clock", "link", "--meter", "7/8", "--bpm", "96"))
    link = link_of(config, print)
    assert (link._bar_beats, link._bpm) == (3.5, 96.0)
