"""When there is next something to do or to think of. Pure: it looks, and changes nothing.

Knows what the session is made of: the clock, the turns, the player's phrase, the mind's pace, the
notes that sound. Knows nothing of what is done when the time has come.
"""

from daemon.clock.out import ClockOut
from daemon.clock.source import ClockSource
from daemon.interface.config import SessionConfig, Settings
from daemon.listening.player import Player
from daemon.session.drafting import Drafting
from daemon.session.turns import Mode, Phase, Turns
from daemon.session.voice import Voice
from engine.meter import BEAT_TOLERANCE, bar_at, pulse_after

#: The answer is drafted at least this long before the line, however fast the music is.
MIN_LEAD_NS = 400_000_000
#: In a trade Segue keeps its turns for so many turns of a player who plays nothing.
EMPTY_TURNS = 2
#: A session that wants to be woken sooner than this is woken then: one tick at a time.
SHORTEST_REST_NS = 100_000


class Foresight:
    """Answers from the parts as they are; `settings` are those of the moment."""

    def __init__(
        self,
        config: SessionConfig,
        *,
        clock: ClockSource,
        clock_out: ClockOut,
        turns: Turns,
        player: Player,
        drafting: Drafting,
        voice: Voice,
    ) -> None:
        self._config = config
        self._clock = clock
        self._clock_out = clock_out
        self._turns = turns
        self._player = player
        self._drafting = drafting
        self._voice = voice

    def wake_ns(self, now_ns: int, settings: Settings, *, redraft_beat: float | None) -> int | None:
        """When the session wants a Tick, or None while only the world can change anything."""
        transport = self._clock.transport
        check_ns = self._clock.next_check_ns
        if not transport.playing:
            return check_ns and max(now_ns + SHORTEST_REST_NS, check_ns)
        committed = [self._voice.next_release_beat]
        if self._turns.awaits_entry:
            committed.append(self._turns.entry_beat)
        elif self._turns.is_segues and self._drafting.answer is not None:
            committed += [self._drafting.answer.next_onset(), self._turns.exit_beat]
        early_beats = self._player.feel.early_beats(settings.feel_share)
        early_ns = self._config.horizon_ns + round(early_beats * transport.ns_per_beat)
        wakes = [transport.ns_at(beat) - early_ns for beat in committed if beat is not None]
        lead = self.lead_beat(transport.beat_at(now_ns), settings)
        thought = [lead, self.silence_beat(settings), redraft_beat]
        wakes += [transport.ns_at(beat) for beat in thought if beat is not None]
        wakes += [check_ns] if check_ns is not None else []
        if self._config.send_clock and (tick_ns := self._clock_out.next_ns(transport)) is not None:
            wakes.append(tick_ns - self._config.horizon_ns)
        return max(now_ns + SHORTEST_REST_NS, min(wakes)) if wakes else None

    def silence_beat(self, settings: Settings) -> float | None:
        """The beat at which the player's phrase has ended, if nothing more is played."""
        if self._turns.mode is not Mode.ANSWER or self._turns.phase is not Phase.LISTENING:
            return None
        return self._player.phrase_end(settings.silence)

    def lead_beat(self, now: float, settings: Settings) -> float | None:
        """The beat from which on the next planned line is drafted for: the last one before it."""
        if self._turns.mode not in (Mode.TRADE, Mode.FOLLOW):
            return None
        if self._turns.phase is Phase.LISTENING:
            line = self._turns.entry_beat
        elif self._turns.plays_along and self.is_player_there(now, settings):
            line = self._turns.exit_beat
        else:
            return None
        pulse = 4 / bar_at(self._clock.meters, line - BEAT_TOLERANCE * 2).meter.denominator
        least_ns = max(MIN_LEAD_NS, 2 * self.reaction_ns())
        return line - max(pulse, least_ns / self._clock.transport.ns_per_beat)

    def minds_a_leap(self, now_ns: int) -> bool:
        """Whether Segue plays, or would soon have to, if the beat leaped to the leader's bars."""
        landing = self._clock.beat_after_leap(now_ns)
        if landing is None or self._turns.phase is Phase.IDLE:
            return False
        if self._turns.phase is Phase.LISTENING and self._turns.mode in (Mode.TRADE, Mode.FOLLOW):
            left_ns = (self._turns.entry_beat - landing) * self._clock.transport.ns_per_beat
            return left_ns < self.reaction_ns()
        return self._turns.phase is not Phase.LISTENING

    def is_player_there(self, now: float, settings: Settings) -> bool:
        """Whether the player has something to be answered, or is expected to have."""
        if self._player.holds:
            return True
        if self._turns.mode is Mode.TRADE:
            return self._player.empty_turns < EMPTY_TURNS
        phrase_end = self._player.phrase_end(settings.silence)
        return phrase_end is not None and now < phrase_end

    def reaction_ns(self) -> int:
        """How long before its line an answer has to be asked for, at the least."""
        way_ns = self._config.output_latency_ns
        return way_ns + self._drafting.pace.reaction_ns(self._config.reaction_ns - way_ns)

    def line_to_meet(self, now_ns: int, enter: str) -> float:
        """The first beat (or bar line) that a draft begun now can still meet."""
        soonest = self._clock.transport.beat_at(now_ns + self.reaction_ns())
        if enter == "bar":
            return bar_at(self._clock.meters, soonest).end
        return pulse_after(self._clock.meters, soonest)
