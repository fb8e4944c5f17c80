"""Laws of the session: they hold whatever comes in, in whatever order, at whatever time."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from musicians import START_NS, PaperMind, Table, is_on

from daemon.clock.transport import Transport
from daemon.interface.config import SessionConfig, Settings
from daemon.interface.events import (
    CommandIn,
    Effect,
    Entry,
    Handover,
    HostIn,
    MidiIn,
    MindIn,
    ReleaseAll,
    Send,
    Tell,
    Tick,
)
from daemon.session.schedule import Schedule
from daemon.session.session import Session
from engine import wire
from engine.protocol import (
    Continue,
    Controls,
    Drafted,
    Finished,
    FromMind,
    Lost,
    Note,
    Pong,
    Ready,
    Refused,
)

NS_PER_MS = 1_000_000
TICK, START = b"\xf8", b"\xfa"

#: What happens next, as it follows from what the witness has seen, and the time.
Step = Callable[["Witness", int], Entry]

keys = st.integers(58, 64)
bpms = st.sampled_from([40.0, 97.0, 120.0, 240.0, 400.0])


def _midi(message: bytes) -> Step:
    return lambda _, t_ns: MidiIn(t_ns, message)


def _command(command: tuple[str, tuple[int | float | str, ...]]) -> Step:
    return lambda _, t_ns: CommandIn(t_ns, *command)


def _link(playing: bool, beat: float, bpm: float) -> Step:
    return lambda _, t_ns: HostIn(t_ns, "link", playing, beat, bpm)


def _mind(value: FromMind) -> Step:
    return lambda _, t_ns: MindIn(t_ns, value)


def _draft(age: int, after: float, pitch: int, duration: float) -> Step:
    """A note for the request before the last one (by `age`), `after` its first beat."""

    def step(witness: "Witness", t_ns: int) -> Entry:
        asked = witness.asked[-1 - age :] or [Continue(1, 0.0, 8.0, Controls(), 0)]
        onset = asked[0].from_beat + after
        return MindIn(t_ns, Drafted(asked[0].epoch, Note(onset, pitch, duration, 80)))

    return step


def _finish(age: int, cancelled: bool) -> Step:
    def step(witness: "Witness", t_ns: int) -> Entry:
        epoch = max(1, len(witness.asked) - age)
        return MindIn(t_ns, Finished(epoch, cancelled, 9, 8, (4.0,), (9.0,)))

    return step


def _tick(_: "Witness", t_ns: int) -> Entry:
    return Tick(t_ns)


music = st.one_of(
    st.tuples(st.sampled_from([0x90, 0x80, 0x91]), keys, st.integers(0, 127)).map(bytes),
    st.tuples(st.just(0xB0), st.sampled_from([64, 66, 120, 121, 123]), st.integers(0, 127)).map(
        bytes
    ),
)
clock = st.one_of(
    st.sampled_from([b"\xf8", b"\xfa", b"\xfb", b"\xfc"]),
    st.tuples(st.just(0xF2), st.integers(0, 64), st.just(0)).map(bytes),
)
commands = st.one_of(
    st.sampled_from(
        [(name, ()) for name in ("takeover", "handback", "panic", "take/record", "take/stop")]
    ),
    st.tuples(st.just("mode"), st.tuples(st.sampled_from(["off", "trade", "answer", "follow"]))),
    st.tuples(st.just("bars"), st.tuples(st.integers(1, 3))),
    st.tuples(st.just("bpm"), st.tuples(bpms)),
    st.tuples(st.just("enter"), st.tuples(st.sampled_from(["beat", "bar"]))),
    st.tuples(st.just("silence"), st.tuples(st.sampled_from([0.25, 1.0]))),
    st.tuples(st.just("give_way"), st.tuples(st.sampled_from(["stop", "beat", "along"]))),
    st.tuples(st.just("feel"), st.tuples(st.sampled_from([0.0, 60.0, 100.0]))),
)
beats = st.sampled_from([0.0, 3.9, 4.0, 8.0, 17.25]) | st.floats(-8, 40)
metres = st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 4), (7, 8)])
host_commands = st.one_of(
    metres.map(lambda metre: ("meter", metre)),
    st.tuples(st.just("host/transport"), st.tuples(st.sampled_from([0, 1, 1]), beats, bpms)),
    st.builds(lambda metre, beat: ("host/meter", (*metre, beat)), metres, beats),
    st.tuples(st.just("host/loop"), st.tuples(st.integers(0, 1), beats, st.floats(0.25, 16))),
)
durations = st.sampled_from([1e-9, 0.01, 0.25, 1.0, 8.0])
steps = st.one_of(
    music.map(_midi),
    music.map(_midi),
    clock.map(_midi),
    st.binary(max_size=4).map(_midi),
    commands.map(_command),
    host_commands.map(_command),
    st.builds(_link, st.sampled_from([True, True, False]), beats, bpms),
    st.sampled_from([Ready("paper", 1, 1), Lost("killed"), Refused("no"), Pong(1)]).map(_mind),
    st.builds(
        _draft,
        age=st.sampled_from([0, 0, 0, 1, 2]),
        after=st.integers(-1, 32).map(lambda step: step / 4) | st.floats(-1, 8),
        pitch=keys,
        duration=durations,
    ),
    st.builds(_finish, age=st.integers(0, 2), cancelled=st.booleans()),
    st.just(_tick),
)
gaps_ms = st.sampled_from([0, 0, 1, 5, 20, 100, 500])


@dataclass(frozen=True)
class Script:
    """A lead-in with the first note of a player, and what happens then.

    With clock "midi" a host plays all the while, its ticks a few ms off.
    """

    config: SessionConfig
    with_mind: bool
    lead_in_beats: float
    steps: list[tuple[float, Step]]
    punctual: bool


configs = st.builds(
    SessionConfig,
    settings=st.builds(
        Settings,
        mode=st.sampled_from(["trade", "trade", "answer", "follow", "off"]),
        bars=st.just(1),
        give_way=st.sampled_from(["stop", "beat", "along"]),
        feel=st.sampled_from([0.0, 0.0, 100.0]),
        silence=st.sampled_from([0.5, 1.0]),
        bpm=bpms,
    ),
    meter=st.sampled_from([(4, 4), (3, 4), (6, 8), (2, 4)]),
    clock=st.sampled_from(["auto", "auto", "internal", "internal", "midi", "link", "host"]),
    seed=st.integers(0, 3),
)
scripts = st.builds(
    Script,
    config=configs,
    with_mind=st.sampled_from([True, True, False]),
    lead_in_beats=st.sampled_from([0.0, 1.5, 2.9, 4.0, 4.6]),
    steps=st.lists(st.tuples(gaps_ms, steps), max_size=60),
    punctual=st.sampled_from([True, True, False]),
)


class MidiHost:
    """Ticks at a steady tempo, some of them a little early or late."""

    def __init__(self, bpm: float) -> None:
        self._beat = Transport(START_NS, 0.0, bpm, True)
        self._ticks = 0

    @property
    def next_ns(self) -> int:
        late_ms = (0, 2, -2, 1, -1)[self._ticks % 5]
        return self._beat.ns_at(self._ticks / 24) + late_ms * NS_PER_MS

    def tick(self) -> bytes:
        self._ticks += 1
        return TICK


class Witness:
    """Carries entries in and effects out, and writes down what breaks a law."""

    def __init__(self, config: SessionConfig) -> None:
        self.session = Session(config)
        self.entries: list[Entry] = []
        self.effects: list[list[Effect]] = []
        self.asked: list[Continue] = []
        self._horizon_ns = config.horizon_ns
        self._schedule = Schedule()
        self._voice = "player"
        self._host: MidiHost | None = None
        self._now_ns = START_NS
        self._struck: dict[int, int] = {}  # pitch -> when its last note-on is due

    def perform(self, script: Script) -> None:
        """Play the lead-in, then do one step after the other."""
        if script.with_mind:
            self.take(MindIn(self._now_ns, Ready("paper", 1, 1)))
        if script.config.clock == "midi":
            self._host = MidiHost(script.config.settings.bpm)
            self.take(MidiIn(self._now_ns, START))
            self._pass(self._now_ns + 1, punctual=True)
        self.take(MidiIn(self._now_ns, bytes((0x90, 60, 80))))
        self.take(MidiIn(self._now_ns, bytes((0x80, 60, 80))))
        beat_ns = Transport(bpm=script.config.settings.bpm).ns_per_beat
        self._pass(self._now_ns + round(script.lead_in_beats * beat_ns), punctual=True)
        for gap_ms, step in script.steps:
            self._pass(self._now_ns + round(gap_ms * NS_PER_MS), punctual=script.punctual)
            self.take(step(self, self._now_ns))

    def _pass(self, t_ns: int, *, punctual: bool) -> None:
        """Go on to `t_ns`; if `punctual`, wake the session when it wants."""
        while True:
            host_ns = self._host.next_ns if self._host else t_ns
            wake_ns = self.session.next_wake_ns() if punctual else None
            if wake_ns is not None and wake_ns < min(host_ns, t_ns):
                self.take(Tick(wake_ns))
            elif self._host and host_ns < t_ns:
                self.take(MidiIn(host_ns, self._host.tick()))
            else:
                self._now_ns = t_ns
                return

    def take(self, entry: Entry) -> None:
        self.entries.append(entry)
        effects = self.session.handle(entry)
        self.effects.append(effects)
        self._carry_out(effects, entry.t_ns)

    def finish(self, t_ns: int) -> None:
        self._carry_out(self.session.finish(), t_ns)

    @property
    def sounding(self) -> frozenset[tuple[int, int]]:
        return self._schedule.sounding

    def _carry_out(self, effects: list[Effect], now_ns: int) -> None:
        self._schedule.pop_due(now_ns)
        for effect in effects:
            match effect:
                case Handover(voice):
                    self._voice = voice
                case Send(due_ns, message):
                    self._check(due_ns, message, now_ns)
                    self._schedule.push(due_ns, message)
                case ReleaseAll():
                    self._schedule.release_all(now_ns)
                case Tell(value):
                    assert wire.decode(wire.encode(value)) == value
                    if isinstance(value, Continue):
                        self.asked.append(value)

    def _check(self, due_ns: int, message: bytes, now_ns: int) -> None:
        pitch = message[1]
        if is_on(message):
            assert self._voice == "segue", "a note out of turn"
            assert due_ns >= now_ns - self._horizon_ns, "a note that is late"
            self._struck[pitch] = due_ns
        else:
            assert due_ns > self._struck[pitch], "a release before its note"


@settings(max_examples=1000)
@given(scripts)
def test_whatever_comes_in_nothing_hangs_is_late_or_out_of_turn(script: Script) -> None:
    witness = Witness(script.config)
    witness.perform(script)
    witness.finish(witness.entries[-1].t_ns)
    assert not witness.sounding


@settings(max_examples=100)
@given(scripts)
def test_the_same_entries_have_the_same_effects(script: Script) -> None:
    first = Witness(script.config)
    first.perform(script)
    second = Session(script.config)
    again = [repr(second.handle(entry)) for entry in first.entries]
    assert again == [repr(effects) for effects in first.effects]


@settings(max_examples=100)
@given(scripts)
def test_left_alone_the_music_ends_by_itself(script: Script) -> None:
    """Told to listen, and with no loop to go round, it ends each note and then sleeps."""
    witness = Witness(script.config)
    witness.perform(script)
    t_ns = witness.entries[-1].t_ns
    witness.take(CommandIn(t_ns, "mode", ("off",)))
    witness.take(CommandIn(t_ns, "host/loop", (0, 0.0, 1.0)))
    for _ in range(2000):
        wake_ns = witness.session.next_wake_ns()
        if wake_ns is None:
            break
        assert wake_ns > t_ns
        t_ns = wake_ns
        witness.take(Tick(t_ns))
    witness.take(Tick(t_ns + script.config.horizon_ns))
    assert witness.session.next_wake_ns() is None
    assert not witness.sounding


def test_hours_of_trading_do_not_grow_the_session() -> None:
    """What is kept after ten minutes is what is kept after twenty, with and without a mind."""
    for mind in (PaperMind(step=0.25), None):
        table = Table(mind=mind)
        sizes = []
        for minute in range(20):
            for turn in range(4):
                table.play("C4 D4 E4 F4 " * 8, beat=120 * minute + 32 * turn, step=0.5, hold=0.4)
            table.until(beat=120 * (minute + 1))
            sizes.append(len(pickle.dumps(table.session)))
        assert sizes[19] < 1.1 * sizes[9]
