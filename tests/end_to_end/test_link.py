"""Ableton Link with a peer of another make, through JACK, on a network of their own."""

import json
import os
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from types import SimpleNamespace

import pytest
from host_time import LATE_MS, in_time, play_until_steady
from phase import phases_ms

from daemon.cli.replay import run as replay
from daemon.interface.events import HostIn
from daemon.take.journal import Journal, read_journal

CONCERT = Path(__file__).with_name("link_concert.py")
#: A network of one's own, for whoever may have one.
UNSHARE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
NS_PER_MS = 1_000_000
GRID = 12  # steps a beat
#: After a change of tempo Segue hears of it with the next report.
SETTLED_NS = 100 * NS_PER_MS


@pytest.fixture(scope="module")
def concert(
    need: Callable[..., None],
    jack_server: object,
    tiny: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> SimpleNamespace:
    need("unshare", "ip")
    pytest.importorskip("aalink", reason="missing: pip install 'segue[link]'")
    pytest.importorskip("link", reason="missing: pip install LinkPython-extern")
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine permits no network namespaces of one's own (unshare --net)")

    def play() -> SimpleNamespace:
        folder = tmp_path_factory.mktemp("link")
        command = [*UNSHARE, sys.executable, str(CONCERT), str(folder), str(tiny)]
        subprocess.run(command, check=True, timeout=180)
        return SimpleNamespace(**json.loads((folder / "concert.json").read_text()), folder=folder)

    return play_until_steady(play, limit_ms=LATE_MS)


@pytest.fixture(scope="module")
def journal(concert: SimpleNamespace) -> Journal:
    return read_journal(next((concert.folder / "takes").glob("*.journal")))


def p95(values: list[float]) -> float:
    return quantiles(sorted(map(abs, values)), n=20)[-1]


def test_the_beat_is_the_peers_within_three_ms(concert, journal):
    joined = in_time(concert, limit_ms=LATE_MS).moments_ns["joined"]
    truth = [sample for sample in concert.samples if sample[0] > joined]
    assert len(truth) > 500
    assert p95(phases_ms(journal, truth)) < 3.0


def test_a_peers_tempo_is_ours_and_ours_is_the_peers(concert, journal):
    told = [entry for entry in journal.entries if isinstance(entry, HostIn)]
    times = [entry.t_ns for entry in told]
    asked_ns = concert.moments_ns["faster"]
    faster_ns = next(t_ns for t_ns, _, bpm in concert.samples if t_ns > asked_ns and bpm > 130)
    after = bisect_left(times, faster_ns + SETTLED_NS)
    assert told[after].bpm == pytest.approx(137.0, abs=0.01)
    assert concert.peer_heard_bpm == pytest.approx(100.0, abs=0.01)


def test_the_answers_lie_on_the_peers_grid(concert):
    """As heard through JACK, to the nearest twelfth of a beat; in the median."""
    times = [sample[0] for sample in in_time(concert, limit_ms=LATE_MS).samples]
    off_ms = []
    for t_ns in concert.strikes_ns:
        index = bisect_left(times, t_ns)
        if index == len(times) or times[index] - t_ns > 50 * NS_PER_MS:
            continue  # the peer was not there
        then_ns, beat, bpm = concert.samples[index]
        at = beat - (then_ns - t_ns) * bpm / 60e9
        off_ms.append(abs(at - round(at * GRID) / GRID) * 60_000 / bpm)
    assert len(off_ms) > 10
    off_ms.sort()
    assert off_ms[len(off_ms) // 2] < concert.period_ms + 2


def test_without_the_peer_it_plays_on_and_says_so(concert):
    alone, back = (concert.moments_ns[name] for name in ("alone", "back"))
    assert [ns for ns in concert.strikes_ns if alone + 3e9 < ns < back]
    assert len([line for line in concert.lines if "Ableton Link fell silent" in line]) == 1
    assert len([line for line in concert.lines if "Ableton Link is back" in line]) == 1


def test_the_journal_plays_the_identical_take(concert, capsys):
    (path,) = (concert.folder / "takes").glob("*.journal")
    assert replay(SimpleNamespace(journal=path, output=None, partial=False, json=True)) == 0
    assert json.loads(capsys.readouterr().out)["identical"] is True
