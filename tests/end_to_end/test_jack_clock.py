"""MIDI clock from a real host: klick leads JACK's transport, jack_midi_clock sends its clock.

The musician reads the beat off JACK's transport for each message that he plays and hears, so that
Segue is judged by the host's own bars. He is steered by jack_transport, as by a hand on a button.
"""

import math
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import IO

import pytest
from stage import Event, Musician, Segue, eventually, faults, ons, sounding

#: Two bars at 120, a ramp up to 160 within four bars, and on at 160.
TEMPO_MAP = "2 4/4 120\n4 4/4 120-160\n40 4/4 160\n"
RAMP_ENDS = 24.0  # beats
#: The third beat of the second bar, which lies before the ramp.
ELSEWHERE, ELSEWHERE_FRAME = 6.0, 6 * 24_000
STEPS_PER_BEAT = 12
#: What the ripple of a clock that is followed and a busy machine add to a period, in the median.
MARGIN_MS = 6.0
#: Stop reaches Segue over the clock, and what was under way in JACK is heard after that.
STOP_S = 0.5
#: jack_midi_clock 0.4.3 says Continue, and its first tick, one tick after the place that it named.
HOST_LATE = 1 / 24
CHORD, RELEASE = ("903c50", "904050", "904350"), ("803c40", "804040", "804340")


@dataclass
class Concert:
    """What was heard in each part, and what the state said."""

    player: Musician
    ramp: list[Event] = field(default_factory=list)  # from play to stop
    silence: list[Event] = field(default_factory=list)  # from a moment after stop
    elsewhere: list[Event] = field(default_factory=list)  # from play to stop, after the relocation
    bpm: dict[str, float] = field(default_factory=dict)
    phase_when_stopped: str = ""


@pytest.fixture(scope="module")
def concert(segue, musician, need, jack_server, tmp_path_factory) -> Iterator[Concert]:
    """Play through the ramp, stop, move to the middle of a bar, play again, stop."""
    need("klick", "jack_midi_clock", "jack_transport")
    folder = tmp_path_factory.mktemp("clock")
    (folder / "tempo.map").write_text(TEMPO_MAP)
    daemon: Segue = segue("--bars", "1", takes=folder / "takes")
    player: Musician = musician("keys", daemon)
    daemon.await_mind()
    with (
        program("klick", "-T", "-f", str(folder / "tempo.map")),
        program("jack_midi_clock", "-d", "0", daemon.ports[0]),
        program("jack_transport") as hand,
    ):
        for client in ("klick", "jack_midi_clock"):
            eventually(lambda client=client: client in "\n".join(jack_server.ports()), client)

        def press(what: str) -> None:
            hand.write(what + "\n")

        concert = Concert(player)
        play_the_ramp(concert, daemon, press)
        stop_and_listen(concert, daemon, press)
        play_elsewhere(concert, daemon, press)
    assert daemon.stop() == 0
    return concert


@contextmanager
def program(*command: str) -> Iterator[IO[str]]:
    """Run a program of the host's; its standard input."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    )
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        process.stdin.close()
        process.kill()  # klick sometimes waits for ever when it is asked
        process.wait()


def play_the_ramp(concert: Concert, daemon: Segue, press: Callable[[str], None]) -> None:
    player = concert.player
    press("locate 0")
    press("play")
    daemon.await_state(playing=1)
    strike_chord(player)
    await_beat(player, 6)
    concert.bpm["before the ramp"] = tempo(daemon)
    await_beat(player, RAMP_ENDS + 5)
    concert.bpm["after the ramp"] = tempo(daemon)


def tempo(daemon: Segue) -> float:
    """What the state says of it, in the median of half a second."""
    said = []
    for _ in range(10):
        said.append(daemon.state()["bpm"])
        time.sleep(0.05)
    return median(said)


def stop_and_listen(concert: Concert, daemon: Segue, press: Callable[[str], None]) -> None:
    player = concert.player
    eventually(lambda: sounding(player.heard), "a note to be stopped")
    press("stop")
    daemon.await_state(playing=0)
    time.sleep(STOP_S)
    concert.phase_when_stopped = daemon.state()["phase"]
    concert.ramp = list(player.heard)
    strike_chord(player)  # nobody is to answer it
    time.sleep(2)
    concert.silence = player.heard[len(concert.ramp) :]


def play_elsewhere(concert: Concert, daemon: Segue, press: Callable[[str], None]) -> None:
    player, already = concert.player, len(concert.player.heard)
    press(f"locate {ELSEWHERE_FRAME}")
    press("play")
    daemon.await_state(playing=1)
    strike_chord(player)
    await_beat(player, ELSEWHERE + 10.5)
    press("stop")
    daemon.await_state(playing=0)
    time.sleep(STOP_S)
    concert.elsewhere = player.heard[already:]


def strike_chord(player: Musician) -> None:
    """A short chord, now."""
    player.play_now(*CHORD)
    time.sleep(0.2)
    player.play_now(*RELEASE)


def await_beat(player: Musician, beat: float) -> None:
    eventually(lambda: (player.beat() or 0) > beat, f"beat {beat:g}")


def off_grid_ms(events: list[Event]) -> list[float]:
    """How far each strike lies from the host's nearest twelfth of a beat, at its slower tempo."""
    beats = [event.beat for event in ons(events) if event.beat is not None]
    return [abs(b - round(b * STEPS_PER_BEAT) / STEPS_PER_BEAT) * 60_000 / 120 for b in beats]


def off_line_ms(beat: float) -> float:
    """How far a beat lies from the nearest of the host's bar lines, at the slower of its tempi."""
    return abs(beat - round(beat / 4) * 4) * 60_000 / 120


def entries(events: list[Event]) -> list[float]:
    """The host's beat of the first strike of each bar that Segue plays in."""
    first: dict[int, float] = {}
    for event in ons(events):
        if event.beat is not None:
            first.setdefault(math.floor(event.beat / 4 + 0.05), event.beat)
    return list(first.values())


def test_it_finds_the_tempo_and_follows_it(concert):
    assert concert.bpm["before the ramp"] == pytest.approx(120, abs=2)
    assert concert.bpm["after the ramp"] == pytest.approx(160, abs=3)


def test_onsets_lie_on_the_hosts_grid_through_the_ramp(concert):
    off_ms = off_grid_ms(concert.ramp)
    assert len(off_ms) > 10
    assert median(off_ms) <= concert.player.period_ms + MARGIN_MS, off_ms


def test_answers_begin_on_the_hosts_bar_lines_through_the_ramp(concert):
    off_ms = [off_line_ms(beat) for beat in entries(concert.ramp)]
    assert len(off_ms) >= 3
    assert median(off_ms) <= concert.player.period_ms + MARGIN_MS, off_ms


def test_nothing_sounds_after_stop(concert):
    assert not sounding(concert.ramp)
    assert concert.silence == []
    assert concert.phase_when_stopped == "idle"


def test_after_a_relocation_the_answers_lie_on_the_hosts_bar_lines(concert):
    off_ms = [off_line_ms(beat - HOST_LATE) for beat in entries(concert.elsewhere)]
    assert off_ms
    assert median(off_ms) <= concert.player.period_ms + MARGIN_MS, off_ms


def test_the_player_who_came_in_mid_bar_is_answered_a_bar_later(concert):
    # Played in the second bar, from its third beat: the answer begins with the third bar.
    assert round(entries(concert.elsewhere)[0]) == 8


def test_no_note_hangs(concert):
    assert faults(concert.player.heard) == []
