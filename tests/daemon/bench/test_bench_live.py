"""The figures of `segue bench live`: from takes whose figures are known beforehand."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.bench.band import BandError
from daemon.bench.figures import figures_of, report_of, table
from daemon.bench.histogram import BINS, BINS_PER_DECADE, counts, draw_histogram
from daemon.bench.score import Cue, LinkPeer, Played, cues_of
from daemon.cli.main import main
from daemon.interface.config import SessionConfig, Settings
from daemon.interface.events import MidiIn, MindIn, Tick
from daemon.interface.messages import START, STOP, TICK
from daemon.performances.recordings import DEFAULT, load
from daemon.take.journal import Journal, Sent
from engine.protocol import Ready

MS = 1_000_000
BEAT0_NS = 5_000_000_000
C_ON, C_OFF, E_ON, E_OFF = b"\x90\x3c\x50", b"\x80\x3c\x00", b"\x90\x40\x50", b"\x80\x40\x00"


def played(
    *, cues: Sequence[Cue], delay_ms: float, sent: Sequence[Sent], clock: str = "internal"
) -> Played:
    """A take at 120 bpm, in which what was played arrived `delay_ms` later."""
    session = SessionConfig(settings=Settings(bars=1, bpm=120.0), clock=clock)
    came = [
        MidiIn(round(BEAT0_NS + cue.at_ns + cue.jitter_ns + delay_ms * MS), cue.message)
        for cue in cues
    ]
    entries = (Tick(0), MindIn(1, Ready("paper", 1, 1)), *came)
    heard = tuple((item.sent_ns, item.message) for item in sent)
    journal = Journal(session, "now", entries, tuple(sent), True)
    return Played("paper", BEAT0_NS, tuple(cues), heard, journal)


def beats(*at: float) -> list[Cue]:
    return [Cue(round(beat * 500 * MS), C_ON) for beat in at]


def test_lateness_and_hanging_notes_come_from_what_was_sent() -> None:
    sent = [
        Sent(100 * MS, 100 * MS, C_ON),
        Sent(200 * MS, 203 * MS, E_ON),
        Sent(300 * MS, 309 * MS, C_OFF),
        Sent(400 * MS, 406 * MS, C_ON),
    ]
    figures = figures_of(played(cues=beats(0), delay_ms=0, sent=sent), bpm=120)
    assert figures["late_ms"] == [0, 3, 6]
    assert figures["hanging_notes"] == 2
    report = report_of([{**figures, "source": "internal", "bpm": 120.0}], command="paper")
    assert report["late_ms"] == {"p50": 3, "p95": 6, "p99": 6, "p999": 6}
    assert report["in_time_rate"] == pytest.approx(2 / 3)
    assert report["hanging_notes"] == 2


def test_the_delay_of_the_ports_is_not_the_clocks() -> None:
    figures = figures_of(played(cues=beats(0, 1, 2, 3), delay_ms=7, sent=[]), bpm=120)
    assert figures["port_ms"] == 7
    assert figures["phase_ms"] == [pytest.approx(0, abs=1e-3)] * 2, "two beats to lock are left out"


def test_a_clock_without_jitter_is_followed_to_the_microsecond() -> None:
    ticks = [Cue(round(number * 500 * MS / 24), bytes((TICK,))) for number in range(24 * 8)]
    cues = [Cue(-12 * MS, bytes((START,))), *ticks, Cue(4000 * MS, bytes((STOP,)))]
    sent = [Sent(1000 * MS, BEAT0_NS + 4003 * MS, C_OFF)]
    figures = figures_of(played(cues=cues, delay_ms=1.5, sent=sent, clock="midi"), bpm=120)
    assert max(figures["phase_ms"]) < 0.01
    assert figures["silent_after_stop_ms"] == pytest.approx(1.5)


def test_the_musicians_take_is_turns_and_a_clock_that_stops_while_segue_plays() -> None:
    performance = load(DEFAULT)
    shape = {"bars": 4, "turn_bars": 1, "bpm": 120.0, "jitter_ms": 5.0}
    plain = cues_of(performance, source="internal", **shape)
    bar_ns = round(performance.bar_beats * 500 * MS)
    assert min(cue.at_ns for cue in plain) == 0
    turns = {round(cue.at_ns / bar_ns - 0.4) for cue in plain}
    assert turns <= {0, 1, 2, 3}
    with_clock = cues_of(performance, source="midi", **shape)
    ticks = [cue for cue in with_clock if cue.message[0] == TICK]
    assert len(ticks) == round(3.5 * performance.bar_beats * 24)
    assert 4 * MS < max(abs(tick.jitter_ns) for tick in ticks) <= 5 * MS
    assert with_clock[0].message[0] == START
    stops = [cue.at_ns for cue in with_clock if cue.message[0] == STOP]
    assert [round(at / bar_ns, 1) for at in stops] == [3.5]
    assert with_clock == cues_of(performance, source="midi", **shape), "the same each time"


def test_a_host_tells_its_beat_from_a_count_in_to_its_stop() -> None:
    performance = load(DEFAULT)
    shape = {"bars": 4, "turn_bars": 1, "bpm": 120.0, "jitter_ms": 5.0}
    cues = cues_of(performance, source="host", **shape)
    reports = [cue.report for cue in cues if cue.report is not None]
    assert reports[0] == (1, -1.0, 120.0)
    assert all(playing for playing, _, _ in reports[:-1])
    assert reports[-1] == (0, pytest.approx(3.5 * performance.bar_beats), 120.0)


def test_a_link_peer_begins_on_the_next_bar_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.bench.score.LINK_PATIENCE_S", 0.0)
    peer = LinkPeer(bpm=120.0, bar_beats=4.0)
    with pytest.raises(BandError, match="do not find each other"):
        peer.bar_line_ns(0)
    peer._hear(1000 * MS, True, 2.0, 120.0)
    assert peer.bar_line_ns(1000 * MS) == 2000 * MS
    assert peer.bar_line_ns(2001 * MS) == 4000 * MS


def test_link_needs_ports(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "live", "--loopback", "--sources", "link"]) == 2
    assert "leave out --loopback" in capsys.readouterr().err


def test_counts_put_each_time_in_its_bin() -> None:
    found = counts([0.0, 0.001, 0.0015, 1.0, 5000.0])
    assert sum(found) == 5
    assert (found[0], found[3 * BINS_PER_DECADE], found[BINS - 1]) == (2, 1, 1)


def test_the_histogram_is_a_picture(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "histogram.png"
    draw_histogram(path, rows=[("late", [0.01, 0.02, 3.0]), ("none", [])], title="t", subtitle="s")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert len(image.getcolors(100_000) or []) > 4


def test_a_take_through_the_loopback_has_every_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--loopback", "--rest", "--bars", "2", "--turn", "1", "--bpm", "400"]
    assert main(["bench", "live", *flags, "--json", "--out", str(tmp_path)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "live.json").read_text())
    assert (tmp_path / "histogram.png").exists()
    assert report["ports"] == "loopback"
    assert report["hanging_notes"] == 0
    assert report["late_ms"].keys() == {"p50", "p95", "p99", "p999"}
    assert report["clock_phase_ms_p95"].keys() == {"internal", "midi", "host"}
    assert 0 < report["in_time_rate"] <= 1
    assert report["handovers"] == 3
    assert "hanging notes 0" in table(report)


@pytest.mark.parametrize("flags", [["--bars", "1"], ["--turn", "0"], ["--bpm", "7"]])
def test_what_cannot_be_played_is_said(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "live", *flags]) == 2
    assert "has to be twice --turn" in capsys.readouterr().err
