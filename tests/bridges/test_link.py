"""Ableton Link without a network: what the bridge does with a peer of paper, and without aalink."""

import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import ClassVar

import pytest

from bridges import link as link_module
from bridges.control import BridgeError
from bridges.link import LinkBridge, require_link

Report = tuple[int, bool, float, float]


class PaperLink:
    """Stands in for aalink's Link: 120 bpm, a peer at once."""

    made: ClassVar[list["PaperLink"]] = []

    def __init__(self, bpm: float) -> None:
        self.tempo = bpm
        self.quantum = 1.0
        self.enabled = False
        self.start_stop_sync_enabled = False
        self.playing = False
        self.peers = 1
        self.asked = 0  # how often it was for its peers
        self.made.append(self)

    @property
    def num_peers(self) -> int:
        self.asked += 1
        return self.peers

    @property
    def beat(self) -> float:
        return time.monotonic_ns() / 1e9 * self.tempo / 60


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> type[PaperLink]:
    monkeypatch.setattr(PaperLink, "made", [])
    monkeypatch.setattr(link_module, "require_link", lambda: SimpleNamespace(Link=PaperLink))
    return PaperLink


class Listener:
    """Takes reports, and waits for some."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._news = threading.Condition()

    def __call__(self, *report: object) -> None:
        with self._news:
            self.reports.append(report)  # type: ignore[arg-type]
            self._news.notify_all()

    def more(self, count: int = 3) -> list[Report]:
        with self._news:
            want = len(self.reports) + count
            assert self._news.wait_for(lambda: len(self.reports) >= want, timeout=10)
            return self.reports[want - count :]


def bridge(listener: Listener, *, start_stop: bool = False) -> LinkBridge:
    return LinkBridge(bpm=97.0, bar_beats=3.0, start_stop=start_stop, report=listener)


def test_it_joins_with_our_tempo_and_bars_and_leaves(paper: type[PaperLink]) -> None:
    listener = Listener()
    with bridge(listener):
        listener.more()
        (link,) = paper.made
        assert (link.enabled, link.tempo, link.quantum) == (True, 97.0, 3.0)
    assert not link.enabled


def test_a_report_is_stamped_where_its_beat_was_read(paper: type[PaperLink]) -> None:
    listener = Listener()
    with bridge(listener):
        for t_ns, playing, beat, bpm in listener.more(5):
            assert playing
            assert bpm == 97.0
            assert beat == pytest.approx(t_ns / 1e9 * 97.0 / 60, abs=0.002)


def test_without_a_peer_it_says_nothing(
    paper: type[PaperLink], eventually: Callable[..., None]
) -> None:
    listener = Listener()
    with bridge(listener):
        listener.more()
        (link,) = paper.made
        link.peers = 0
        asked = link.asked
        eventually(lambda: link.asked > asked + 1)  # what was under way is over
        already = len(listener.reports)
        eventually(lambda: link.asked > asked + 5)
        assert len(listener.reports) == already
        link.peers = 2
        listener.more()


def test_a_tempo_of_ours_is_everybodys(paper: type[PaperLink]) -> None:
    listener = Listener()
    with bridge(listener) as opened:
        opened.set_bpm(140.0)
        listener.more()
        assert listener.reports[-1][3] == 140.0


def test_start_and_stop_count_where_they_are_in_common(paper: type[PaperLink]) -> None:
    listener = Listener()
    with bridge(listener, start_stop=True):
        assert listener.more()[-1][1] is False
        paper.made[0].playing = True
        assert listener.more()[-1][1] is True


def test_without_aalink_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aalink", None)
    with pytest.raises(BridgeError, match=r"needs aalink: pip install 'segue\[link\]'"):
        require_link()
    with pytest.raises(BridgeError):
        bridge(Listener()).open()
