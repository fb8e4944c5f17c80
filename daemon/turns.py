"""Whose bar is it? The turns as one table of states. Pure; knows beats and meters only.

Theory of operation. A conversation is in one of five phases:

    IDLE       nobody has played since the music began, or since the last answer was over
    LISTENING  it is the player's turn
    CUED       still the player's turn, but the beat on which Segue enters is known: it drafts
    CALLED     the same, but Segue was asked to enter: what the player does is no objection
    ANSWERING  it is Segue's turn

What happens is one of the `Event`s. The table names, for mode, phase and event, the phase that
follows and what is done on the way. What is not in the table changes nothing. In a trade the entry
is known as soon as the player has begun; in answer mode it is known when the phrase has ended.
"""

from dataclasses import dataclass
from enum import StrEnum

from engine.meter import bar_at, bars_later, line_after
from engine.protocol import Meter


class Mode(StrEnum):
    """How turns are taken."""

    OFF = "off"
    TRADE = "trade"
    ANSWER = "answer"


class Phase(StrEnum):
    """Where in the conversation we are."""

    IDLE = "idle"
    LISTENING = "listening"
    CUED = "cued"
    CALLED = "called"
    ANSWERING = "answering"


class Event(StrEnum):
    """What can happen."""

    PLAYED = "the player struck a note"
    SILENCE = "the player has been silent for as long as ends a phrase"
    LEAD = "the planned entry is near enough to draft for"
    LINE = "the planned line was reached"
    TAKE_OVER = "Segue was asked to enter now"
    HAND_BACK = "Segue was asked to stop now"
    STOPPED = "the music stopped, or jumped"
    MODE = "another mode was chosen"


class Action(StrEnum):
    """What is done on the way from one phase to the next."""

    PLAN_TRADE = "plan the entry `bars` after the bar in which the player began"
    PLAN_NEXT = "plan the next entry `bars` after the line where Segue ended"
    CUE_LINE = "enter on the next line that can be met"
    DRAFT = "ask for an answer"
    ENTER = "begin to play"
    LEAVE = "the answer is over"
    WITHDRAW = "drop the draft"
    SILENCE = "stop sounding at once and drop the draft"


_P, _E, _A = Phase, Event, Action

_TRADE = {
    (_P.IDLE, _E.PLAYED): (_P.LISTENING, _A.PLAN_TRADE),
    (_P.LISTENING, _E.LEAD): (_P.CUED, _A.DRAFT),
    (_P.CUED, _E.LINE): (_P.ANSWERING, _A.ENTER),
    (_P.ANSWERING, _E.LINE): (_P.LISTENING, _A.PLAN_NEXT),
}
_ANSWER = {
    (_P.IDLE, _E.PLAYED): (_P.LISTENING, None),
    (_P.LISTENING, _E.SILENCE): (_P.CUED, _A.CUE_LINE),
    (_P.CUED, _E.PLAYED): (_P.LISTENING, _A.WITHDRAW),
    (_P.CUED, _E.LINE): (_P.ANSWERING, _A.ENTER),
    (_P.ANSWERING, _E.PLAYED): (_P.LISTENING, _A.SILENCE),
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
    (_P.LISTENING, _E.STOPPED): (_P.IDLE, _A.WITHDRAW),
    (_P.CUED, _E.STOPPED): (_P.IDLE, _A.WITHDRAW),
    (_P.CALLED, _E.STOPPED): (_P.IDLE, _A.WITHDRAW),
    (_P.ANSWERING, _E.STOPPED): (_P.IDLE, _A.SILENCE),
    (_P.LISTENING, _E.MODE): (_P.IDLE, _A.WITHDRAW),
    (_P.CUED, _E.MODE): (_P.IDLE, _A.WITHDRAW),
    (_P.CALLED, _E.MODE): (_P.IDLE, _A.WITHDRAW),
    (_P.ANSWERING, _E.MODE): (_P.IDLE, _A.SILENCE),
}

TABLE: dict[tuple[Mode, Phase, Event], tuple[Phase, Action | None]] = {
    (mode, *key): value
    for mode, own in ((Mode.OFF, _OFF), (Mode.TRADE, _TRADE), (Mode.ANSWER, _ANSWER))
    for key, value in {**_ANY, **own}.items()
}


@dataclass(slots=True)
class Turns:
    """The phase, and the lines that are planned.

    `entry_beat` is where Segue enters next, while that is known; `exit_beat` where its answer ends.
    """

    mode: Mode
    bars: int
    phase: Phase = Phase.IDLE
    entry_beat: float = 0.0
    exit_beat: float = 0.0

    @property
    def awaits_entry(self) -> bool:
        """Whether Segue's entry is known and not yet there."""
        return self.phase in (Phase.CUED, Phase.CALLED)

    def on(self, event: Event, *, beat: float, meters: tuple[Meter, ...]) -> Action | None:
        """Follow the table for `event` at `beat`; return what the caller has to do.

        For CUE_LINE `beat` is the line on which to enter.
        """
        phase, action = TABLE.get((self.mode, self.phase, event), (self.phase, None))
        self.phase = phase
        if action is Action.PLAN_TRADE:
            self._plan(_first_bar(meters, beat), meters)
        elif action is Action.PLAN_NEXT:
            self._plan(line_after(meters, self.exit_beat), meters)
        elif action is Action.CUE_LINE:
            self.entry_beat = beat
            self.exit_beat = bars_later(meters, line_after(meters, beat), self.bars)
        return action

    def _plan(self, line: float, meters: tuple[Meter, ...]) -> None:
        self.entry_beat = bars_later(meters, line, self.bars)
        self.exit_beat = bars_later(meters, self.entry_beat, self.bars)


def _first_bar(meters: tuple[Meter, ...], beat: float) -> float:
    """The bar that a player who comes in at `beat` begins with: a pick-up belongs to the next.

    A pick-up is what lies in the last beat of a bar, unless the bar has no other beat.
    """
    bar = bar_at(meters, beat)
    pulse = min(4 / bar.meter.denominator, (bar.end - bar.start) / 2)
    return bar.end if beat >= bar.end - pulse else bar.start
