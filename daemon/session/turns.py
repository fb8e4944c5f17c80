"""Whose bar is it? The turns as one table of states. Pure; knows beats and meters only.

Theory of operation. A conversation is in one of six phases:

    IDLE       nobody has played since the music began, or since the last answer was over
    LISTENING  it is the player's turn
    CUED       still the player's turn, but the beat on which Segue enters is known: it drafts
    CALLED     the same, but Segue was asked to enter: what the player does is no objection
    ANSWERING  it is Segue's turn; in follow mode Segue plays along
    YIELDING   Segue still plays, but the player is back: at the next planned line it is his turn

What happens is one of the `Event`s. The table names, for mode, phase and event, the phase that
follows and what is done on the way. What is not in the table changes nothing. In a trade the entry
is known as soon as the player has begun; in answer mode it is known when the phrase has ended. In
follow mode Segue enters a bar after the player, and stays for one bar more as long as he plays.

A note that comes up to a sixteenth before a line is meant for the bar after it. So a player who is
that early on his own next turn does not end Segue's, whatever `give_way` says.
"""

from dataclasses import dataclass
from enum import StrEnum

from engine.meter import bar_at, bars_later, line_after, pulse_after
from engine.protocol import Meter

#: A note this long before a line is meant for the bar that begins there: a sixteenth.
EARLY_BEATS = 0.25


class Mode(StrEnum):
    """How turns are taken."""

    OFF = "off"
    TRADE = "trade"
    ANSWER = "answer"
    FOLLOW = "follow"


class Phase(StrEnum):
    """Where in the conversation we are."""

    IDLE = "idle"
    LISTENING = "listening"
    CUED = "cued"
    CALLED = "called"
    ANSWERING = "answering"
    YIELDING = "yielding"


class Event(StrEnum):
    """What can happen."""

    PLAYED = "the player struck a note"
    SILENCE = "the player has been silent for as long as ends a phrase"
    LEAD = "the next line is near enough to draft for what comes after it"
    ABSENT = "the same, but the player has left"
    LINE = "the planned line was reached"
    TAKE_OVER = "Segue was asked to enter now"
    HAND_BACK = "Segue was asked to stop now"
    STOPPED = "the music stopped, or jumped"
    MODE = "another mode was chosen"


class Action(StrEnum):
    """What is done on the way from one phase to the next."""

    PLAN_TRADE = "plan the entry `bars` after the bar in which the player began"
    PLAN_FOLLOW = "plan the entry a bar after the line with which the player began"
    EXTEND = "play along for one bar more"
    PLAN_NEXT = "plan the next entry `bars` after the line where Segue ended"
    CUE_LINE = "enter on the next line that can be met"
    DRAFT = "ask for an answer"
    ENTER = "begin to play"
    LEAVE = "the answer is over"
    WITHDRAW = "drop the draft"
    GIVE_WAY = "do as the setting `give_way` says"
    CUT_SHORT = "end with this beat"
    SILENCE = "stop sounding at once and drop the draft"


_P, _E, _A = Phase, Event, Action

_TRADE = {
    (_P.IDLE, _E.PLAYED): (_P.LISTENING, _A.PLAN_TRADE),
    (_P.LISTENING, _E.LEAD): (_P.CUED, _A.DRAFT),
    (_P.LISTENING, _E.ABSENT): (_P.IDLE, None),
    (_P.CUED, _E.LINE): (_P.ANSWERING, _A.ENTER),
    (_P.ANSWERING, _E.LINE): (_P.LISTENING, _A.PLAN_NEXT),
}
_ANSWER = {
    (_P.IDLE, _E.PLAYED): (_P.LISTENING, None),
    (_P.LISTENING, _E.SILENCE): (_P.CUED, _A.CUE_LINE),
    (_P.CUED, _E.PLAYED): (_P.LISTENING, _A.WITHDRAW),
    (_P.CUED, _E.LINE): (_P.ANSWERING, _A.ENTER),
    (_P.ANSWERING, _E.PLAYED): (_P.ANSWERING, _A.GIVE_WAY),
    (_P.ANSWERING, _E.LINE): (_P.IDLE, _A.LEAVE),
    (_P.YIELDING, _E.LINE): (_P.LISTENING, _A.LEAVE),
}
_FOLLOW = {
    (_P.IDLE, _E.PLAYED): (_P.LISTENING, _A.PLAN_FOLLOW),
    (_P.LISTENING, _E.LEAD): (_P.CUED, _A.DRAFT),
    (_P.LISTENING, _E.ABSENT): (_P.IDLE, None),
    (_P.CUED, _E.LINE): (_P.ANSWERING, _A.ENTER),
    (_P.ANSWERING, _E.LEAD): (_P.ANSWERING, _A.EXTEND),
    (_P.ANSWERING, _E.LINE): (_P.IDLE, _A.LEAVE),
}
_OFF = {
    (_P.IDLE, _E.PLAYED): (_P.LISTENING, None),
    (_P.ANSWERING, _E.LINE): (_P.IDLE, _A.LEAVE),
}
_ANY = {
    (_P.IDLE, _E.TAKE_OVER): (_P.CALLED, _A.CUE_LINE),
    (_P.LISTENING, _E.TAKE_OVER): (_P.CALLED, _A.CUE_LINE),
    (_P.CUED, _E.TAKE_OVER): (_P.CALLED, _A.CUE_LINE),
    (_P.CALLED, _E.TAKE_OVER): (_P.CALLED, _A.CUE_LINE),
    (_P.CALLED, _E.LINE): (_P.ANSWERING, _A.ENTER),
    (_P.CUED, _E.HAND_BACK): (_P.IDLE, _A.WITHDRAW),
    (_P.CALLED, _E.HAND_BACK): (_P.IDLE, _A.WITHDRAW),
    (_P.ANSWERING, _E.HAND_BACK): (_P.IDLE, _A.SILENCE),
    (_P.YIELDING, _E.HAND_BACK): (_P.LISTENING, _A.SILENCE),
    (_P.LISTENING, _E.STOPPED): (_P.IDLE, _A.WITHDRAW),
    (_P.CUED, _E.STOPPED): (_P.IDLE, _A.WITHDRAW),
    (_P.CALLED, _E.STOPPED): (_P.IDLE, _A.WITHDRAW),
    (_P.ANSWERING, _E.STOPPED): (_P.IDLE, _A.SILENCE),
    (_P.YIELDING, _E.STOPPED): (_P.IDLE, _A.SILENCE),
    (_P.LISTENING, _E.MODE): (_P.IDLE, _A.WITHDRAW),
    (_P.CUED, _E.MODE): (_P.IDLE, _A.WITHDRAW),
    (_P.CALLED, _E.MODE): (_P.IDLE, _A.WITHDRAW),
    (_P.ANSWERING, _E.MODE): (_P.IDLE, _A.SILENCE),
    (_P.YIELDING, _E.MODE): (_P.IDLE, _A.SILENCE),
}

#: How Segue gives way to a player who comes back in; a player who is early is not back yet.
GIVE_WAY: dict[str, tuple[Phase, Action | None]] = {
    "stop": (_P.LISTENING, _A.SILENCE),
    "beat": (_P.YIELDING, _A.CUT_SHORT),
    "along": (_P.YIELDING, None),
}

TABLE: dict[tuple[Mode, Phase, Event], tuple[Phase, Action | None]] = {
    (mode, *key): value
    for mode, own in (
        (Mode.OFF, _OFF),
        (Mode.TRADE, _TRADE),
        (Mode.ANSWER, _ANSWER),
        (Mode.FOLLOW, _FOLLOW),
    )
    for key, value in {**_ANY, **own}.items()
}


@dataclass(slots=True)
class Turns:
    """The phase, and the lines that are planned.

    `entry_beat` is where Segue enters next, while that is known; `exit_beat` where its answer ends.
    """

    mode: Mode
    bars: int
    give_way: str = "stop"
    phase: Phase = Phase.IDLE
    entry_beat: float = 0.0
    exit_beat: float = 0.0
    _since: float = 0.0  # the line from which the player's bars are counted
    _planned_bars: int = 0

    @property
    def awaits_entry(self) -> bool:
        """Whether Segue's entry is known and not yet there."""
        return self.phase in (Phase.CUED, Phase.CALLED)

    @property
    def is_segues(self) -> bool:
        """Whether Segue plays, or may."""
        return self.phase in (Phase.ANSWERING, Phase.YIELDING)

    @property
    def plays_along(self) -> bool:
        """Whether Segue plays while the player does, and thinks again on every beat."""
        return self.mode is Mode.FOLLOW and self.phase is Phase.ANSWERING

    def on(self, event: Event, *, beat: float, meters: tuple[Meter, ...]) -> Action | None:
        """Follow the table for `event` at `beat`; return what the caller has to do.

        For CUE_LINE `beat` is the line on which to enter.
        """
        phase, action = TABLE.get((self.mode, self.phase, event), (self.phase, None))
        if action is Action.GIVE_WAY:
            is_early = beat >= self.exit_beat - EARLY_BEATS
            phase, action = GIVE_WAY["along" if is_early else self.give_way]
        self.phase = phase
        if action is Action.PLAN_TRADE:
            self._plan(_first_bar(meters, beat), self.bars, meters)
        elif action is Action.PLAN_FOLLOW:
            self._plan(_first_bar(meters, beat), 1, meters)
        elif action is Action.EXTEND:
            self.exit_beat = bars_later(meters, line_after(meters, self.exit_beat), 1)
        elif action is Action.CUT_SHORT:
            self.exit_beat = min(self.exit_beat, pulse_after(meters, beat))
        elif action is Action.PLAN_NEXT:
            self._plan(line_after(meters, self.exit_beat), self.bars, meters)
        elif action is Action.CUE_LINE:
            self.entry_beat, self._planned_bars = beat, self.bars
            self._plan_exit(meters)
        return action

    def change_meters(self, meters: tuple[Meter, ...]) -> None:
        """The bars from here on are others: keep how many were planned, not their beats."""
        if self.phase is Phase.LISTENING and self.mode in (Mode.TRADE, Mode.FOLLOW):
            self._plan(line_after(meters, self._since), self._planned_bars, meters)
        elif self.awaits_entry or (self.phase is Phase.ANSWERING and self.mode is not Mode.FOLLOW):
            self._plan_exit(meters)
        elif self.is_segues:
            self.exit_beat = line_after(meters, self.exit_beat)

    def _plan(self, line: float, bars: int, meters: tuple[Meter, ...]) -> None:
        """The player has `bars` bars from `line` on, and Segue as many after him."""
        self._since, self._planned_bars = line, bars
        self.entry_beat = bars_later(meters, line, bars)
        self._plan_exit(meters)

    def _plan_exit(self, meters: tuple[Meter, ...]) -> None:
        line = line_after(meters, self.entry_beat)
        self.exit_beat = bars_later(meters, line, self._planned_bars)


def _first_bar(meters: tuple[Meter, ...], beat: float) -> float:
    """The bar that a player who comes in at `beat` begins with: a pick-up belongs to the next.

    A pick-up is what lies in the last beat of a bar, unless the bar has no other beat.
    """
    bar = bar_at(meters, beat)
    pulse = min(4 / bar.meter.denominator, (bar.end - bar.start) / 2)
    return bar.end if beat >= bar.end - pulse else bar.start
