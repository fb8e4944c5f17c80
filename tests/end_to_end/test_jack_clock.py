"""MIDI clock from a real host: klick leads JACK's transport, jack_midi_clock sends its clock. And
Segue's own clock, as a machine at JACK hears it.

The musician reads the beat off JACK's transport for each message that he plays and hears, so that
Segue is judged by the host's own bars. He is steered by jack_transport, as by a hand on a button.
Where the host itself did not keep time, the concert is played again (see host_time.py).
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import IO

import pytest
from host_time import LATE_MS, in_time, play_until_steady
from stage import Event, Musician, Segue, eventually, faults, first_of_bars, ons, sounding

from daemon.clock.midi_clock import MidiClock
from daemon.interface.messages import CONTINUE, SONG_POSITION, START, STOP, TICK

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
#: Two bars at the faster tempo: one of them is Segue's.
ANSWERED_S = 3.0
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
    was_sounding: bool = False  # when the host stopped
    phase_when_stopped: str = ""
    stood_still_ms: float = 0.0  # the host, at the worst, while it played


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

        def play() -> Concert:
            concert = Concert(player)
            play_the_ramp(concert, daemon, press)
            play_into_the_silence(concert)
            play_elsewhere(concert, daemon, press)
            return concert

        concert = play_until_steady(play)
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
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.kill()  # klick sometimes waits for ever when it is asked
        process.wait()


def play_the_ramp(concert: Concert, daemon: Segue, press: Callable[[str], None]) -> None:
    player, begin_ns = concert.player, time.monotonic_ns()
    already = len(player.heard)
    press("locate 0")
    time.sleep(STOP_S)  # jack_midi_clock says Start only where it has stood for a while
    press("play")
    daemon.await_state(playing=1)
    strike_chord(player)
    await_beat(player, 6)
    concert.bpm["before the ramp"] = tempo(daemon)
    for line in (8, 16, 24):  # of each bar that is the player's
        await_beat(player, line)
        strike_chord(player)
    await_beat(player, RAMP_ENDS + 5)
    concert.bpm["after the ramp"] = tempo(daemon)
    with suppress(AssertionError):  # a host that did not keep time may be answered elsewhere
        eventually(lambda: sounding(player.heard), "a note to be stopped", timeout_s=ANSWERED_S)
        concert.was_sounding = True
    concert.stood_still_ms = player.stood_still_ms(begin_ns)
    press("stop")
    daemon.await_state(playing=0)
    time.sleep(STOP_S)
    concert.phase_when_stopped = daemon.state()["phase"]
    concert.ramp = player.heard[already:]


def tempo(daemon: Segue) -> float:
    """What the state says of it, in the median of half a second."""
    said = []
    for _ in range(10):
        said.append(daemon.state()["bpm"])
        time.sleep(0.05)
    return median(said)


def play_into_the_silence(concert: Concert) -> None:
    """While the host stands still: nobody is to answer."""
    already = len(concert.player.heard)
    strike_chord(concert.player)
    time.sleep(2)
    concert.silence = concert.player.heard[already:]


def play_elsewhere(concert: Concert, daemon: Segue, press: Callable[[str], None]) -> None:
    player, already = concert.player, len(concert.player.heard)
    begin_ns = time.monotonic_ns()
    press(f"locate {ELSEWHERE_FRAME}")
    press("play")
    daemon.await_state(playing=1)
    strike_chord(player)
    await_beat(player, ELSEWHERE + 10.5)
    concert.stood_still_ms = max(concert.stood_still_ms, player.stood_still_ms(begin_ns))
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


def entries(events: list[Event], *, late: float = 0.0) -> list[float]:
    """The host's beat of the first strike of each bar that Segue plays in.

    `late` is by how many beats the host's clock comes after its bars.
    """
    beats = [event.beat - late for event in ons(events) if event.beat is not None]
    return [beats[number] for number in first_of_bars(beats)]


def test_it_finds_the_tempo_and_follows_it(concert):
    assert in_time(concert).bpm["before the ramp"] == pytest.approx(120, abs=2)
    assert concert.bpm["after the ramp"] == pytest.approx(160, abs=3)


def test_onsets_lie_on_the_hosts_grid_through_the_ramp(concert):
    off_ms = off_grid_ms(in_time(concert).ramp)
    assert len(off_ms) > 10
    assert median(off_ms) <= concert.player.period_ms + MARGIN_MS, off_ms


def test_answers_begin_on_the_hosts_bar_lines_through_the_ramp(concert):
    off_ms = [off_line_ms(beat) for beat in entries(in_time(concert).ramp)]
    assert len(off_ms) >= 3
    assert median(off_ms) <= concert.player.period_ms + MARGIN_MS, off_ms


def test_a_note_was_sounding_at_the_stop(concert):
    assert in_time(concert).was_sounding


def test_nothing_sounds_after_stop(concert):
    assert not sounding(concert.ramp)
    assert concert.silence == []
    assert concert.phase_when_stopped == "idle"


def test_after_a_relocation_the_answers_lie_on_the_hosts_bar_lines(concert):
    begun = entries(in_time(concert).elsewhere, late=HOST_LATE)
    off_ms = [off_line_ms(beat) for beat in begun]
    assert off_ms
    assert median(off_ms) <= concert.player.period_ms + MARGIN_MS, off_ms


def test_the_player_who_came_in_mid_bar_is_answered_a_bar_later(concert):
    # Played in the second bar, from its third beat: the answer begins with the third bar.
    assert round(entries(in_time(concert).elsewhere, late=HOST_LATE)[0]) == 8


def test_no_note_hangs(concert):
    assert faults(concert.player.heard) == []


# The other way round: a machine follows Segue's clock.

#: What Segue adds to the period of JACK that its ticks are rounded to, for nineteen of twenty.
TICK_MARGIN_MS = 1.5


@dataclass
class Followed:
    """What a drum machine heard of Segue's clock, and where Segue said that it was."""

    machine: Musician
    clock: list[Event] = field(default_factory=list)
    places: list[tuple[int, float]] = field(default_factory=list)  # (t_ns, beat)
    stood_still_ms: float = 0.0

    def part(self, begin: int) -> list[Event]:
        """The messages from the first with this status to before the next Stop."""
        first = next(n for n, event in enumerate(self.clock) if event.message[0] == begin)
        stop = next(n for n, e in enumerate(self.clock) if n > first and e.message[0] == STOP)
        return self.clock[first:stop]


@pytest.fixture(scope="module")
def followed(segue, musician, tmp_path_factory) -> Followed:
    """Segue plays from a note on, a host stops it and goes on elsewhere, and Ctrl-C ends it."""

    def play() -> Followed:
        daemon: Segue = segue("--send-clock", takes=tmp_path_factory.mktemp("master") / "takes")
        return follow(daemon, musician("drums", daemon))

    return play_until_steady(play, limit_ms=LATE_MS)


def follow(daemon: Segue, machine: Musician) -> Followed:
    followed, begin_ns = Followed(machine), time.monotonic_ns()
    daemon.await_mind()
    strike_chord(followed.machine)
    listen(followed, daemon, seconds=4)
    daemon.command("host/transport", 0, 8.0, 120.0)
    daemon.await_state(playing=0)
    time.sleep(STOP_S)
    daemon.command("host/transport", 1, 33.4, 90.0)
    listen(followed, daemon, seconds=4)
    assert daemon.stop() == 0
    eventually(lambda: clock_of(followed.machine)[-1].message[0] == STOP, "the last stop")
    followed.clock = clock_of(followed.machine)
    followed.stood_still_ms = machine.stood_still_ms(begin_ns)
    machine.leave()
    return followed


def clock_of(machine: Musician) -> list[Event]:
    return [event for event in machine.heard if event.message[0] >= SONG_POSITION]


def listen(followed: Followed, daemon: Segue, *, seconds: float) -> None:
    """Let it play, and ask Segue in the end where it is."""
    time.sleep(seconds)
    _, t_ns, beat = min(ask_where(daemon) for _ in range(5))  # the quickest says best when
    followed.places.append((t_ns, beat))


def ask_where(daemon: Segue) -> tuple[int, int, float]:
    """How long the question took in ns, the time half-way, and Segue's beat then."""
    asked_ns = time.monotonic_ns()
    beat = daemon.state()["beat"]
    took_ns = time.monotonic_ns() - asked_ns
    return took_ns, asked_ns + took_ns // 2, beat


def ticks_off_ms(part: list[Event], bpm: float) -> list[float]:
    """How far each tick lies from an even row at a tempo, which lies as well as it can."""
    ticks = [event.t_ns for event in part if event.message[0] == TICK]
    even = [t_ns - number * 60e9 / bpm / 24 for number, t_ns in enumerate(ticks)]
    return [(t_ns - median(even)) / 1e6 for t_ns in even]


@pytest.mark.parametrize(("begin", "bpm"), [(START, 120.0), (CONTINUE, 90.0)])
def test_its_ticks_are_even_to_a_period(followed, begin, bpm):
    followed = in_time(followed, limit_ms=LATE_MS)
    off_ms = sorted(map(abs, ticks_off_ms(followed.part(begin), bpm)))
    assert len(off_ms) > 3 * bpm / 60 * 24
    p95_ms = off_ms[int(0.95 * len(off_ms))]
    assert p95_ms < followed.machine.period_ms + TICK_MARGIN_MS


def test_what_it_says_beside_its_ticks(followed):
    said = [event.message[0] for event in followed.clock if event.message[0] != TICK]
    assert said == [START, STOP, SONG_POSITION, CONTINUE, STOP]


def test_nothing_ticks_while_it_stands(followed):
    statuses = [event.message[0] for event in followed.clock]
    stop = statuses.index(STOP)
    assert statuses[stop : stop + 4] == [STOP, SONG_POSITION, CONTINUE, TICK]
    assert statuses[-1] == STOP


def test_who_follows_it_is_where_it_is(followed):
    follower = MidiClock()
    now = iter(in_time(followed, limit_ms=LATE_MS).clock)
    for asked_ns, beat in followed.places:
        heard = None
        for event in now:
            heard = follower.feed(event.t_ns, event.message) or heard
            if event.t_ns > asked_ns:
                break
        assert heard is not None
        assert heard.beat_at(asked_ns) == pytest.approx(beat, abs=0.1)
