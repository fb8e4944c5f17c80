"""The session: a pure function of its inbox. Knows music, turns and drafts; no ports, no models.

Each entry of the inbox carries its time, and `handle` answers with effects. Nothing here asks what
time it is, and nothing is random but by the seed: the same inbox gives the same effects, bit for
bit. `next_wake_ns` says when the session wants a `Tick` if nothing else comes.

The session's beats never fall back. Where a host locates or starts again, its bars are laid on from
the next bar line of the session, so that what was played stays what it was.
"""

from dataclasses import replace

from daemon.clock.out import ClockOut
from daemon.clock.source import ClockSource, Moved, Source
from daemon.interface.config import SessionConfig
from daemon.interface.events import (
    CommandIn,
    Cut,
    Effect,
    Entry,
    Handover,
    HostIn,
    MidiIn,
    MindIn,
    Noticed,
    ReleaseAll,
    Send,
    StateChanged,
    TakeMarked,
    TempoChanged,
    Tick,
)
from daemon.interface.messages import CLOCK_STATUSES, CONTROL_CHANGE, MAX_DATA, is_on
from daemon.listening.echo import EchoGuard, notice
from daemon.listening.memory import Memory
from daemon.listening.player import Player
from daemon.listening.timeline import PEDAL_DOWN, Closed, Opened, Timeline
from daemon.session.drafting import Drafting
from daemon.session.foresight import Foresight
from daemon.session.turns import Action, Event, Mode, Phase, Turns
from daemon.session.voice import Voice
from engine.meter import BEAT_TOLERANCE, pulse_after
from engine.protocol import (
    Controls,
    Drafted,
    Finished,
    FromMind,
    Lost,
    Meter,
    Note,
    Pong,
    Ready,
    Refused,
)

#: Less than this is not enough to send a note in time: it is cut, or moved.
LAST_MOMENT_NS = 1_000_000
#: The ear takes what is less late than this for in time.
IN_TIME_NS = 5_000_000
#: A note that comes too late is moved to the next line of this grid, or not played: a sixteenth.
LATE_GRID_BEATS = 0.25
#: Who plays on within this of Segue's entry had not ended his phrase.
INTERRUPTION_BEATS = 1.0
#: A tempo that differs by less than this share is the same tempo, measured twice.
TEMPO_NEWS = 0.005


class Session:
    """Everything that is decided while one process lives."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self.settings = config.settings
        self._effects: list[Effect] = []
        self._emit = self._effects.append
        meters = (Meter(0.0, *config.meter),)
        self._clock = ClockSource(config.clock, self.settings.bpm, meters)
        self._clock_out = ClockOut()
        self._echo = EchoGuard(
            input_latency_ns=config.input_latency_ns, output_latency_ns=config.output_latency_ns
        )
        self._timeline = Timeline()
        self._memory = Memory(self.meters)
        self._player = Player(self._timeline, self._memory, self._emit)
        self._voice = Voice(config.channel, self._memory, self._emit)
        self._drafting = Drafting(
            config.seed, self._memory, self._emit, number=self._timeline.number
        )
        self._turns = Turns(Mode(self.settings.mode), self.settings.bars, self.settings.give_way)
        self._ahead = Foresight(
            config,
            clock=self._clock,
            clock_out=self._clock_out,
            turns=self._turns,
            player=self._player,
            drafting=self._drafting,
            voice=self._voice,
        )
        self._redraft_beat: float | None = None  # in follow mode, when what was played is answered
        self._told_bpm = 0.0
        self._told_state: tuple[str, str, int, float, bool, str, str] | None = None  # less the beat
        self._now_ns = 0

    @property
    def leader(self) -> Source:
        """Whose clock leads; safe from any thread."""
        return self._clock.leader

    @property
    def meters(self) -> tuple[Meter, ...]:
        """The map of meters so far; a later one may be planned."""
        return self._clock.meters

    # What the shell calls.

    def handle(self, entry: Entry) -> list[Effect]:
        """Take one entry and return what follows from it, in order."""
        self._now_ns = max(self._now_ns, entry.t_ns)
        self._moved(self._clock.check(entry.t_ns))
        match entry:
            case MidiIn(t_ns, message):
                self._midi(t_ns, message)
            case CommandIn(_, name, arguments):
                self._command(name, *arguments)
            case MindIn(_, value):
                self._heard_mind(value)
            case HostIn():
                self._moved(self._clock.hear(entry))
            case Tick():
                pass
        self._advance()
        self._clock.keeps_bars = self._ahead.minds_a_leap(self._now_ns)
        self._send_clock()
        if self._turns.phase in (Phase.IDLE, Phase.LISTENING):  # a mind that drafts is left alone
            self._drafting.tell_news()
        self._tell_state()
        return self._taken_effects()

    def finish(self) -> list[Effect]:
        """End everything that sounds, now: no entry follows."""
        self._turn(Event.STOPPED, self._beat())
        self._end_open_notes(self._beat())
        self._release(self._beat())
        self._effects += self._clock_out.stop(self._now_ns)
        return self._taken_effects()

    def beat_at(self, t_ns: int) -> float:
        """Where the music is at `t_ns`, as far as is known; safe from any thread."""
        return self._clock.transport.beat_at(t_ns)

    def next_wake_ns(self) -> int | None:
        """When the session wants a Tick, or None while only the world can change anything."""
        return self._ahead.wake_ns(self._now_ns, self.settings, redraft_beat=self._redraft_beat)

    def _taken_effects(self) -> list[Effect]:
        effects = self._effects.copy()
        self._effects.clear()
        for effect in effects:
            if isinstance(effect, Send):
                self._echo.sent(effect.due_ns, effect.message)
            elif isinstance(effect, ReleaseAll):
                self._echo.released(self._now_ns)
        return effects

    # What comes in.

    def _midi(self, t_ns: int, message: bytes) -> None:
        if not message or max(message[1:], default=0) > MAX_DATA:
            return
        if message[0] in CLOCK_STATUSES:
            if not self.config.send_clock:  # it may be our own that comes back
                self._moved(self._clock.feed(t_ns, message))
            return
        if message[0] >= 0xF0:
            return
        if self._echo.is_echo(t_ns, message):
            if (lag_ms := self._echo.new_loop_ms()) is not None:
                self._emit(Noticed(notice(lag_ms)))
            return
        if self._is_foot_switch(message):
            if message[2] >= PEDAL_DOWN:
                self._hand_back() if self._turns.is_segues else self._take_over()
            return
        if is_on(message):
            self._moved(self._clock.note_played(t_ns))
        if not self._clock.transport.playing and self._player.waits(t_ns, message):
            return
        for change in self._player.hears(self._clock.transport.beat_at(t_ns), message):
            self._played(change)

    def _is_foot_switch(self, message: bytes) -> bool:
        is_control = message[0] & 0xF0 == CONTROL_CHANGE and len(message) == 3
        return is_control and message[1] == self.config.foot_switch

    def _played(self, change: Opened | Closed) -> None:
        if isinstance(change, Opened):
            self._struck(change.onset)
        if self._turns.awaits_entry and self._can_redraft():
            self._draft(self._turns.entry_beat)

    def _struck(self, onset: float) -> None:
        """What a struck key means for whose turn it is."""
        begun = self._turns.is_segues and onset > self._turns.entry_beat + INTERRUPTION_BEATS
        if self._turns.phase is not Phase.IDLE and not begun:
            self._player.phrasing.resumed(self._player.rest_beats)
        if self._redraft_beat is None and self._turns.plays_along:
            self._redraft_beat = pulse_after(self.meters, onset)
        self._turn(Event.PLAYED, onset)

    def _command(self, name: str, *arguments: object) -> None:
        match name:
            case "takeover":
                self._take_over()
            case "handback":
                self._hand_back()
            case "panic":
                self._hand_back()
                self._end_open_notes(self._beat())
                self._release(self._beat())
            case "take/record" | "take/stop":
                self._emit(TakeMarked(self._beat(), name == "take/record"))
            case "ping" | "state":
                pass
            case "meter" | "host/transport" | "host/meter" | "host/loop":
                self._moved(self._clock.command(self._now_ns, name, *arguments))
            case _:
                self._set(name, arguments[0])

    def _set(self, name: str, value: object) -> None:
        self.settings = self.settings.changed(name, value)
        if name == "mode" and Mode(self.settings.mode) is not self._turns.mode:
            self._turn(Event.MODE, self._beat())
            self._turns.mode = Mode(self.settings.mode)
        elif name == "bars":
            self._turns.bars = self.settings.bars
        elif name == "give_way":
            self._turns.give_way = self.settings.give_way
        elif name == "bpm":
            self._moved(self._clock.set_bpm(self._now_ns, self.settings.bpm))

    def _heard_mind(self, value: FromMind) -> None:
        match value:
            case Ready():
                self._drafting.tell_everything()
                self._redraft()
            case Lost():
                self._drafting.mind = "lost"
            case Drafted(epoch, note):
                if self._drafting.drafted(epoch, note, self._now_ns):
                    self._came_late(epoch, note)
            case Finished():
                self._drafting.finished(value)
            case Refused() | Pong():
                pass

    def _came_late(self, epoch: int, note: Note) -> None:
        """The rest of a chord that has begun still sounds; else the next line, or not at all."""
        soonest = self.beat_at(self._now_ns + self.config.output_latency_ns + LAST_MOMENT_NS)
        if self._drafting.leads(epoch):
            line = -(-soonest // LATE_GRID_BEATS) * LATE_GRID_BEATS
            onset = note.onset if note.onset >= soonest else line
            if onset - note.onset <= LATE_GRID_BEATS and onset < self._turns.exit_beat:
                self._play(replace(note, onset=onset))
                return
        if self._drafting.is_missed(epoch):
            self._emit(Cut(note))

    # Time.

    def _beat(self) -> float:
        return self._clock.transport.beat_at(self._now_ns)

    def _due_ns(self, beat: float) -> int:
        return self._clock.transport.ns_at(beat)

    def _moved(self, moved: Moved | None) -> None:
        if moved is None:
            return
        if moved.notice:
            self._emit(Noticed(moved.notice))
        if moved.meters_changed:
            self._memory.set_meters(self.meters)
            self._turns.change_meters(self.meters)
            self._end_answer_at(self._turns.exit_beat)
        if moved.discontinuous:
            self._turn(Event.STOPPED, moved.from_beat)
            self._end_open_notes(moved.from_beat)
            self._release(moved.from_beat)
        transport = self._clock.transport
        if transport.playing and abs(transport.bpm - self._told_bpm) > TEMPO_NEWS * transport.bpm:
            self._told_bpm = transport.bpm
            self._emit(TempoChanged(transport.anchor_beat, transport.bpm))
        if transport.playing:
            for change in self._player.begins(self._now_ns, self._beat()):
                self._played(change)

    def _advance(self) -> None:
        """Do all that has become due by now, in the order in which it became due."""
        transport = self._clock.transport
        if not transport.playing:
            return
        now = transport.beat_at(self._now_ns) + BEAT_TOLERANCE
        horizon = transport.beat_at(self._now_ns + self.config.horizon_ns) + BEAT_TOLERANCE
        horizon += self._player.feel.early_beats(self.settings.feel_share)
        self._look_ahead(now)
        if self._turns.awaits_entry and horizon >= self._turns.entry_beat:
            self._turn(Event.LINE, self._turns.entry_beat)
        if self._turns.is_segues and self._drafting.answer is not None:
            notes = self._drafting.answer.decide(
                horizon, history=self._memory.notes, meters=self.meters
            )
            if self._turns.plays_along:
                notes = self._player.room.fitting(notes, self._player.held_pitches)
            for note in notes:
                self._play(note)
            if horizon >= self._turns.exit_beat:
                self._turn(Event.LINE, self._turns.exit_beat)
        self._voice.release_until(horizon, transport)

    def _send_clock(self) -> None:
        if not self.config.send_clock:
            return
        self._effects += self._clock_out.follow(
            self._clock.transport,
            now_ns=self._now_ns,
            until_ns=self._now_ns + self.config.horizon_ns,
        )

    def _look_ahead(self, now: float) -> None:
        """See to what needs time to think: the next turn, and what was played meanwhile."""
        if (silence := self._ahead.silence_beat(self.settings)) is not None and now >= silence:
            self._player.was_heard_out()
            self._turn(Event.SILENCE, self._ahead.line_to_meet(self._now_ns, self.settings.enter))
        if (lead := self._ahead.lead_beat(self._beat(), self.settings)) is not None and now >= lead:
            is_there = self._ahead.is_player_there(now, self.settings)
            self._turn(Event.LEAD if is_there else Event.ABSENT, now)
        if self._redraft_beat is not None and now >= self._redraft_beat:
            self._redraft_beat = None
            if self._turns.plays_along:
                self._redraft()

    # Turns.

    def _take_over(self) -> None:
        if self._clock.transport.playing:
            self._turn(Event.TAKE_OVER, self._ahead.line_to_meet(self._now_ns, self.settings.enter))

    def _hand_back(self) -> None:
        self._turn(Event.HAND_BACK, self._beat())

    def _turn(self, event: Event, beat: float) -> None:
        action = self._turns.on(event, beat=beat, meters=self.meters)
        if self._turns.phase is Phase.YIELDING:
            self._voice.end_by(self._turns.exit_beat)
        match action:
            case Action.DRAFT:
                self._player.empty_turns += 1
                self._prepare()
            case Action.CUE_LINE:
                self._drafting.withdraw()
                self._prepare()
            case Action.ENTER:
                self._emit(Handover("segue", beat, self._felt_ns(beat)))
            case Action.EXTEND | Action.CUT_SHORT:
                self._end_answer_at(self._turns.exit_beat)
            case Action.PLAN_NEXT | Action.LEAVE:
                self._emit(Handover("player", beat, self._felt_ns(beat)))
                self._drafting.withdraw()
            case Action.WITHDRAW:
                self._drafting.withdraw()
            case Action.SILENCE:  # the transport may have moved on from this beat already
                self._emit(Handover("player", beat, self._now_ns))
                self._drafting.withdraw()
                self._release(beat)

    def _prepare(self) -> None:
        self._drafting.begin(self._turns.entry_beat, self._turns.exit_beat)
        self._draft(self._turns.entry_beat)

    def _end_answer_at(self, beat: float) -> None:
        if self._drafting.answer is not None:
            is_longer = beat > self._drafting.answer.until_beat
            self._drafting.answer.end_at(beat)
            if is_longer:
                self._redraft()

    def _can_redraft(self) -> bool:
        """Whether a newer draft could still be there on the line, or there is none to keep."""
        left_ns = self._due_ns(self._turns.entry_beat) - self._now_ns
        return left_ns > self._ahead.reaction_ns() or self._drafting.is_without_notes

    def _redraft(self) -> None:
        """Draft the rest of the answer anew, from where a new draft can be in time."""
        if self._turns.awaits_entry:
            self._draft(self._turns.entry_beat)
        elif self._drafting.answer is not None:
            soonest = self._ahead.line_to_meet(self._now_ns, "beat")
            self._draft(max(self._drafting.answer.frontier, soonest))

    def _draft(self, start: float) -> None:
        """Ask for the answer from `start` on; what is held stands there as if held until then."""
        if self._drafting.mind != "ready":
            return
        self._player.hold_until(start)
        settings = self.settings
        controls = Controls(settings.temperature, settings.top_k, settings.top_p)
        self._drafting.ask(start, controls, self._now_ns, expected=self._expected(start))

    def _expected(self, start: float) -> list[Note]:
        """What of the answer that sounds is to be played before a new draft from `start` on."""
        if self._drafting.answer is None:
            return []
        notes = self._drafting.answer.expected(start - BEAT_TOLERANCE)
        if self._turns.plays_along:
            notes = self._player.room.foreseen(notes, self._player.held_pitches)
        return notes

    # What goes out.

    def _play(self, note: Note) -> None:
        """Play `note` with the player's feel: cut it if its time has passed."""
        felt = self._player.feel.given_to(note, self.settings.feel_share)
        leaves_ns = self._due_ns(felt.onset) - self.config.output_latency_ns
        if leaves_ns < self._now_ns - IN_TIME_NS:
            self._emit(Cut(note))
            return
        if self._turns.phase is Phase.YIELDING and felt.end > self._turns.exit_beat:
            felt = replace(felt, duration=self._turns.exit_beat - felt.onset)
        self._voice.strike(self._drafting.number_of(note), note, felt, self._clock.transport)

    def _felt_ns(self, beat: float) -> int:
        return self._due_ns(self._player.feel.place_of(beat, self.settings.feel_share))

    def _release(self, beat: float) -> None:
        """Silence at once: what sounds ends at `beat`, what was committed is not sent."""
        self._voice.cut(beat)
        self._emit(ReleaseAll())

    def _end_open_notes(self, beat: float) -> None:
        for change in self._player.end_notes(beat):
            self._played(change)

    def _tell_state(self) -> None:
        """Only what has changed is told: that the beat moves on is no news."""
        transport = self._clock.transport
        state = (
            self._turns.mode.value,
            self._turns.phase.value,
            self._turns.bars,
            round(self._told_bpm if transport.playing else transport.bpm, 1),
            transport.playing,
            self._drafting.mind,
            self._clock.leader + (" lost" if self._clock.lost else ""),
        )
        if state != self._told_state:
            self._told_state = state
            self._emit(StateChanged(*state, beat=self._beat()))
