"""The session: a pure function of its inbox. Knows music, turns and drafts; no ports, no models.

Each entry of the inbox carries its time, and `handle` answers with effects. Nothing here asks what
time it is, and nothing is random but by the seed: the same inbox gives the same effects, bit for
bit. `next_wake_ns` says when the session wants a `Tick` if nothing else comes.

The session's beats never fall back. Where a host locates or starts again, its bars are laid on from
the next bar line of the session, so that what was played stays what it was.
"""

from dataclasses import replace

from daemon.answer import GRID_STEPS_PER_BEAT, Answer
from daemon.clock_source import ClockSource, Moved
from daemon.config import SessionConfig
from daemon.events import (
    CommandIn,
    Cut,
    Effect,
    Entry,
    Handover,
    MidiIn,
    MindIn,
    NoteEnded,
    NoteStarted,
    Planned,
    ReleaseAll,
    Send,
    StateChanged,
    TakeMarked,
    Tell,
    TempoChanged,
    Tick,
)
from daemon.memory import Memory
from daemon.midi_clock import STATUSES as CLOCK_STATUSES
from daemon.schedule import NOTE_OFF, NOTE_ON
from daemon.timeline import (
    CONTROL_CHANGE,
    MAX_DATA,
    PEDAL_DOWN,
    SHORTEST_BEATS,
    Closed,
    Opened,
    Timeline,
)
from daemon.turns import Action, Event, Mode, Phase, Turns
from daemon.voice import Struck, Voice
from engine.meter import BEAT_TOLERANCE, bar_at
from engine.protocol import (
    Cancel,
    Continue,
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

#: A held note stands in the prompt as if it lasted this long, until more is known.
PROVISIONAL_BEATS = 1.0
#: The answer is drafted at least this long before the line, however fast the music is.
MIN_LEAD_NS = 400_000_000
#: Less than this is not enough to send a note in time: it is cut.
LAST_MOMENT_NS = 1_000_000
#: However the tempo moves between a note and its release, it sounds for as long as this.
SHORTEST_NS = 1_000_000
#: A session that wants to be woken sooner than this is woken then: one tick at a time.
SHORTEST_REST_NS = 100_000
#: A tempo that differs by less than this share is the same tempo, measured twice.
TEMPO_NEWS = 0.005


class Session:
    """Everything that is decided while one process lives."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self.settings = config.settings
        self.meters = (Meter(0.0, *config.meter),)
        self._clock = ClockSource(config.clock, self.settings.bpm, self.meters)
        self._timeline = Timeline()
        self._turns = Turns(Mode(self.settings.mode), self.settings.bars)
        self._voice = Voice()
        self._memory = Memory(self.meters)
        self._answer: Answer | None = None
        self._epoch = 0
        self._mind = "loading"
        self._silent_since: float | None = None  # beat at which the last key went up
        self._told_bpm = 0.0
        self._state: StateChanged | None = None
        self._now_ns = 0
        self._effects: list[Effect] = []

    # What the shell calls.

    def handle(self, entry: Entry) -> list[Effect]:
        """Take one entry and return what follows from it, in order."""
        self._now_ns = max(self._now_ns, entry.t_ns)
        match entry:
            case MidiIn(t_ns, message):
                self._midi(t_ns, message)
            case CommandIn(_, name, arguments):
                self._command(name, *arguments)
            case MindIn(_, value):
                self._heard_mind(value)
            case Tick():
                pass
        self._advance()
        self._tell_news()
        self._tell_state()
        effects, self._effects = self._effects, []
        return effects

    def finish(self) -> list[Effect]:
        """End everything that sounds, now: no entry follows."""
        self._turn(Event.STOPPED, self._beat())
        self._end_open_notes(self._beat())
        self._release(self._beat())
        effects, self._effects = self._effects, []
        return effects

    def beat_at(self, t_ns: int) -> float:
        """Where the music is at `t_ns`, as far as is known; safe from any thread."""
        return self._clock.transport.beat_at(t_ns)

    def next_wake_ns(self) -> int | None:
        """When the session wants a Tick, or None while only the world can change anything."""
        if not self._clock.transport.playing:
            return None
        early = self.config.horizon_ns
        beats: list[tuple[float, int]] = []
        if (release := self._voice.next_release_beat) is not None:
            beats.append((release, early))
        match self._turns.phase:
            case Phase.LISTENING:
                if (due := self._listening_until()) is not None:
                    beats.append((due, 0))
            case Phase.CUED | Phase.CALLED:
                beats.append((self._turns.entry_beat, early))
            case Phase.ANSWERING if self._answer is not None:
                line = min(self._answer.next_onset(), self._turns.exit_beat)
                beats.append((line, early))
        transport = self._clock.transport
        wakes = [transport.ns_at(beat) - before for beat, before in beats]
        soonest_ns = self._now_ns + SHORTEST_REST_NS
        return max(soonest_ns, min(wakes)) if wakes else None

    # What comes in.

    def _midi(self, t_ns: int, message: bytes) -> None:
        if not message or max(message[1:], default=0) > MAX_DATA:
            return
        if message[0] in CLOCK_STATUSES:
            self._moved(self._clock.feed(t_ns, message))
            return
        if message[0] >= 0xF0:
            return
        if self._is_foot_switch(message):
            if message[2] >= PEDAL_DOWN:
                answering = self._turns.phase is Phase.ANSWERING
                self._hand_back() if answering else self._take_over()
            return
        is_note = message[0] & 0xF0 == NOTE_ON and len(message) == 3 and message[2] > 0
        if is_note:
            self._moved(self._clock.note_played(t_ns))
        transport = self._clock.transport
        if is_note and not transport.playing:
            return
        beat = transport.beat_at(t_ns)
        for change in self._timeline.feed(beat, message):
            self._played(change)
        if self._timeline.held:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = beat

    def _is_foot_switch(self, message: bytes) -> bool:
        is_control = message[0] & 0xF0 == CONTROL_CHANGE and len(message) == 3
        return is_control and message[1] == self.config.foot_switch

    def _played(self, change: Opened | Closed) -> None:
        if isinstance(change, Opened):
            note = Note(change.onset, change.pitch, PROVISIONAL_BEATS, change.velocity)
            self._memory.put(change.number, note)
            self._effects.append(NoteStarted("player", change.onset, change.pitch, change.velocity))
            self._turn(Event.PLAYED, change.onset)
        else:
            self._memory.put(change.number, change.note)
            self._effects.append(NoteEnded("player", change.note))
        if self._turns.awaits_entry and self._can_redraft():
            self._draft()

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
                self._effects.append(TakeMarked(self._beat(), name == "take/record"))
            case "ping" | "state":
                pass
            case _:
                self._set(name, arguments[0])

    def _set(self, name: str, value: object) -> None:
        self.settings = self.settings.changed(name, value)
        if name == "mode" and Mode(self.settings.mode) is not self._turns.mode:
            self._turn(Event.MODE, self._beat())
            self._turns.mode = Mode(self.settings.mode)
        elif name == "bars":
            self._turns.bars = self.settings.bars
        elif name == "bpm":
            self._moved(self._clock.set_bpm(self._now_ns, self.settings.bpm))

    def _heard_mind(self, value: FromMind) -> None:
        match value:
            case Ready():
                self._mind = "ready"
                self._effects.append(Tell(self._memory.everything()))
                if self._turns.awaits_entry or self._turns.phase is Phase.ANSWERING:
                    self._draft()
            case Lost():
                self._mind = "lost"
            case Drafted(epoch, note):
                self._drafted(epoch, note)
            case Finished(epoch, cancelled):
                if self._answer is not None and not cancelled:
                    self._answer.finish(epoch)
            case Refused() | Pong():
                pass

    def _drafted(self, epoch: int, note: Note) -> None:
        if self._answer is None or not self._answer.knows(epoch):
            return  # it belongs to an answer that was withdrawn
        self._effects.append(Planned(epoch, note))
        if self._answer.add(epoch, note):
            return
        in_time_ns = self._now_ns + LAST_MOMENT_NS
        in_time = self._due_ns(note.onset) >= in_time_ns
        if in_time and self._answer.leader == epoch:  # the rest of a chord that has begun
            self._strike(note)
        elif epoch == self._epoch and self._answer.leader in (epoch, 0):
            self._effects.append(Cut(note))  # no older draft had this place

    # Time and turns.

    def _beat(self) -> float:
        return self._clock.transport.beat_at(self._now_ns)

    def _due_ns(self, beat: float) -> int:
        return self._clock.transport.ns_at(beat)

    def _lead_beats(self) -> float:
        """How long before its entry Segue drafts: the last beat, or longer where that is short."""
        pulse = 4 / self.config.meter[1]
        return max(pulse, MIN_LEAD_NS / self._clock.transport.ns_per_beat)

    def _moved(self, moved: Moved | None) -> None:
        if moved is None:
            return
        if moved.discontinuous:
            self._turn(Event.STOPPED, moved.from_beat)
            self._end_open_notes(moved.from_beat)
            self._release(moved.from_beat)
        transport = self._clock.transport
        if transport.playing and abs(transport.bpm - self._told_bpm) > TEMPO_NEWS * transport.bpm:
            self._told_bpm = transport.bpm
            self._effects.append(TempoChanged(transport.anchor_beat, transport.bpm))

    def _turn(self, event: Event, beat: float) -> None:
        action = self._turns.on(event, beat=beat, meters=self.meters)
        match action:
            case Action.DRAFT:
                self._prepare()
            case Action.CUE_LINE:
                self._withdraw()
                self._prepare()
            case Action.ENTER:
                self._effects.append(Handover("segue", beat, self._due_ns(beat)))
            case Action.PLAN_NEXT | Action.LEAVE:
                self._effects.append(Handover("player", beat, self._due_ns(beat)))
                self._withdraw()
            case Action.WITHDRAW:
                self._withdraw()
            case Action.SILENCE:  # the transport may have moved on from this beat already
                self._effects.append(Handover("player", beat, self._now_ns))
                self._withdraw()
                self._release(beat)

    def _advance(self) -> None:
        """Do all that has become due by now, in the order in which it became due."""
        transport = self._clock.transport
        if not transport.playing:
            return
        now = transport.beat_at(self._now_ns) + BEAT_TOLERANCE
        horizon = transport.beat_at(self._now_ns + self.config.horizon_ns) + BEAT_TOLERANCE
        if self._turns.phase is Phase.LISTENING:
            self._listen(now)
        if self._turns.awaits_entry and horizon >= self._turns.entry_beat:
            self._turn(Event.LINE, self._turns.entry_beat)
        if self._turns.phase is Phase.ANSWERING and self._answer is not None:
            for note in self._answer.decide(
                horizon, history=self._memory.notes, meters=self.meters
            ):
                self._strike(note)
            if horizon >= self._turns.exit_beat:
                self._turn(Event.LINE, self._turns.exit_beat)
        for struck in self._voice.release_until(horizon):
            self._ended(struck)

    def _listening_until(self) -> float | None:
        """The beat at which listening ends by itself, or None."""
        if self._turns.mode is Mode.TRADE:
            return self._turns.entry_beat - self._lead_beats()
        if self._turns.mode is Mode.ANSWER and self._silent_since is not None:
            return self._silent_since + self.settings.silence
        return None

    def _listen(self, now: float) -> None:
        due = self._listening_until()
        if due is None or now < due:
            return
        if self._turns.mode is Mode.TRADE:
            self._turn(Event.LEAD, now)
        else:
            self._silent_since = None
            self._turn(Event.SILENCE, self._line_to_meet())

    def _take_over(self) -> None:
        if self._clock.transport.playing:
            self._turn(Event.TAKE_OVER, self._line_to_meet())

    def _hand_back(self) -> None:
        self._turn(Event.HAND_BACK, self._beat())

    def _line_to_meet(self) -> float:
        """The first beat (or bar line, as set) that a draft begun now can still meet."""
        transport = self._clock.transport
        soonest = transport.beat_at(self._now_ns + self.config.reaction_ns)
        bar = bar_at(self.meters, soonest)
        if self.settings.enter == "bar":
            return bar.end
        pulse = 4 / bar.meter.denominator
        line = bar.start
        while line < soonest:
            line += pulse
        return min(line, bar.end)

    # Drafts.

    def _can_redraft(self) -> bool:
        """Whether a newer draft could still be there on the line, or there is none to keep."""
        entry_ns = self._due_ns(self._turns.entry_beat)
        is_early = entry_ns - self._now_ns > self.config.reaction_ns
        return is_early or self._answer is None or not self._answer.has_notes

    def _prepare(self) -> None:
        entry, exit_ = self._turns.entry_beat, self._turns.exit_beat
        frontier = entry - BEAT_TOLERANCE  # an onset that is a rounding error early counts
        self._answer = Answer(until_beat=exit_, frontier=frontier, seed=self._seed())
        self._draft()

    def _draft(self) -> None:
        """Ask for the answer, or what is left of it, from the notes as they are now."""
        answer = self._answer
        if answer is None or self._mind != "ready":
            return
        start = self._turns.entry_beat
        if self._turns.phase is Phase.ANSWERING:  # leave the new mind the time to think
            start = max(answer.frontier, self._line_to_meet())
        if start >= answer.until_beat:
            return
        for opened in self._timeline.open_notes:
            duration = max(start - opened.onset, PROVISIONAL_BEATS / GRID_STEPS_PER_BEAT)
            note = Note(opened.onset, opened.pitch, duration, opened.velocity)
            self._memory.put(opened.number, note)
        self._epoch += 1
        answer.open_draft(self._epoch, start)
        if self._memory.has_news:
            self._effects.append(Tell(self._memory.news()))
        controls = Controls(self.settings.temperature, self.settings.top_k, self.settings.top_p)
        request = Continue(self._epoch, start, answer.until_beat, controls, self._seed())
        self._effects.append(Tell(request))

    def _withdraw(self) -> None:
        if self._answer is not None and self._mind == "ready":
            self._effects.append(Tell(Cancel(self._epoch)))
        self._answer = None

    def _seed(self) -> int:
        return (self.config.seed * 1_000_003 + self._epoch) & 0x7FFFFFFF

    # What goes out.

    def _strike(self, note: Note) -> None:
        """Play `note`: cut it if its time has passed, leave it out if its pitch was just struck."""
        due_ns = self._due_ns(note.onset)
        if due_ns < self._now_ns - self.config.horizon_ns:
            self._effects.append(Cut(note))
            return
        onset_before = self._voice.onset_of(note.pitch)
        if onset_before is not None and note.onset < onset_before + SHORTEST_BEATS:
            return
        if (before := self._voice.give_way(note.pitch, note.onset)) is not None:
            due_ns = max(due_ns, self._ended(before))
        note = replace(note, duration=max(note.duration, SHORTEST_BEATS))
        struck = Struck(self._timeline.number(), note, due_ns)
        self._voice.strike(struck)
        message = bytes((NOTE_ON | self.config.channel, note.pitch, note.velocity))
        self._effects.append(Send(due_ns, message))
        self._effects.append(NoteStarted("segue", note.onset, note.pitch, note.velocity))
        self._memory.put(struck.number, note)

    def _ended(self, struck: Struck) -> int:
        """Release a note that was taken out of the voice; return when its release is due."""
        note = struck.note
        due_ns = max(self._due_ns(note.end), struck.due_ns + SHORTEST_NS)
        message = bytes((NOTE_OFF | self.config.channel, note.pitch, 0))
        self._effects.append(Send(due_ns, message))
        self._effects.append(NoteEnded("segue", note))
        self._memory.put(struck.number, note)
        return due_ns

    def _release(self, beat: float) -> None:
        """Silence at once: what sounds ends at `beat`, what was committed is not sent."""
        for struck in self._voice.cut(beat):
            if struck.note.duration > 0:
                self._effects.append(NoteEnded("segue", struck.note))
                self._memory.put(struck.number, struck.note)
            else:
                self._memory.drop(struck.number)
        self._effects.append(ReleaseAll())

    def _end_open_notes(self, beat: float) -> None:
        for change in self._timeline.close_all(beat):
            self._played(change)

    def _tell_news(self) -> None:
        """Keep the mind's cache beside the music, but leave it alone while it drafts an answer."""
        resting = self._turns.phase in (Phase.IDLE, Phase.LISTENING)
        if resting and self._mind == "ready" and self._memory.has_news:
            self._effects.append(Tell(self._memory.news()))

    def _tell_state(self) -> None:
        transport = self._clock.transport
        state = StateChanged(
            mode=self._turns.mode.value,
            phase=self._turns.phase.value,
            bars=self._turns.bars,
            bpm=round(self._told_bpm if transport.playing else transport.bpm, 1),
            playing=transport.playing,
            mind=self._mind,
            beat=self._beat(),
        )
        if self._state is None or replace(self._state, beat=state.beat) != state:
            self._state = state
            self._effects.append(state)
