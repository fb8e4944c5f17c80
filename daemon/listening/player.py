"""The player's side: what is played, held and rested, and what it says of the player. Pure.

Joins the timeline with what is learned from it: phrasing, feel, room. Knows beats, notes and the
memory that the mind is told from; no turns, no clocks, no ports.
"""

from collections.abc import Callable

from daemon.interface.events import Effect, NoteEnded, NoteStarted
from daemon.interface.messages import NOTE_OFF, NOTE_ON, is_on
from daemon.listening.feel import Feel
from daemon.listening.memory import Memory
from daemon.listening.phrasing import Phrasing
from daemon.listening.room import Room
from daemon.listening.timeline import Closed, Opened, Timeline
from engine.protocol import Note

#: A held note stands in the prompt as if it lasted this long, until more is known.
PROVISIONAL_BEATS = 1.0
#: Or as long as until the answer, and for this long at least: a step of the grid.
SHORTEST_PROVISIONAL_BEATS = 1 / 12

#: What a host's track plays on the first beat may arrive before its clock starts: Ardour's comes
#: two periods of JACK earlier, and a period may be as long as 20 ms.
EARLY_NS = 50_000_000


class Player:
    """Whatever is played is an effect, and is remembered."""

    def __init__(self, timeline: Timeline, memory: Memory, emit: Callable[[Effect], None]) -> None:
        self.feel = Feel()
        self.room = Room()
        self.phrasing = Phrasing()
        self.rest_beats = 0.0  # before the note that was struck last
        self.empty_turns = 0  # in a row, since then; whoever plans the turns counts them
        self._timeline = timeline
        self._memory = memory
        self._emit = emit
        self._silent_since: float | None = None  # beat at which the last key went up
        #: (channel, pitch): strikes that came while the music stood still.
        self._waiting: dict[tuple[int, int], tuple[int, bytes]] = {}

    @property
    def holds(self) -> bool:
        """Whether a key is down."""
        return self._timeline.held

    @property
    def held_pitches(self) -> set[int]:
        """What sounds of the player's, by key or pedal."""
        return {opened.pitch for opened in self._timeline.open_notes}

    def hears(self, beat: float, message: bytes) -> list[Opened | Closed]:
        """Take a channel message; return the notes that opened and closed with it."""
        changes = self._timeline.feed(beat, message)
        for change in changes:
            self._remember(change)
        if self._timeline.held:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = beat
        return changes

    def waits(self, t_ns: int, message: bytes) -> bool:
        """Keep a note that is struck while the music stands still, until its key comes up.

        Return whether there is nothing more to do about the message.
        """
        if len(message) != 3 or message[0] & 0xF0 not in (NOTE_OFF, NOTE_ON):
            return False
        key = (message[0] & 0x0F, message[1])
        if is_on(message):
            self._waiting[key] = (t_ns, message)
            return True
        return self._waiting.pop(key, None) is not None

    def begins(self, t_ns: int, beat: float) -> list[Opened | Closed]:
        """The music goes, at `beat`: what was struck just before was meant for this beat."""
        waiting, self._waiting = self._waiting, {}
        return [
            change
            for struck_ns, message in waiting.values()
            if t_ns - struck_ns <= EARLY_NS
            for change in self.hears(beat, message)
        ]

    def end_notes(self, beat: float) -> list[Opened | Closed]:
        """Whatever sounds ends at `beat`: the music stopped, or the player is gone."""
        changes = self._timeline.close_all(beat)
        for change in changes:
            self._remember(change)
        return changes

    def hold_until(self, beat: float) -> None:
        """What is held stands in the prompt as if it were held until `beat`."""
        for opened in self._timeline.open_notes:
            duration = max(beat - opened.onset, SHORTEST_PROVISIONAL_BEATS)
            note = Note(opened.onset, opened.pitch, duration, opened.velocity)
            self._memory.put(opened.number, note)

    def phrase_end(self, setting: float) -> float | None:
        """The beat at which the phrase has ended, if nothing more is played; None if it goes on.

        `setting` is the rest in beats that ends a phrase of somebody whose phrasing is unknown.
        """
        if self._silent_since is None:
            return None
        return self._silent_since + self.phrasing.silence_beats(setting)

    def was_heard_out(self) -> None:
        """The phrase that has ended is being answered: it does not end again."""
        self._silent_since = None

    def _remember(self, change: Opened | Closed) -> None:
        if isinstance(change, Closed):
            self._memory.put(change.number, change.note)
            self._emit(NoteEnded("player", change.note))
            return
        onset, pitch, velocity = change.onset, change.pitch, change.velocity
        self.rest_beats = 0.0 if self._silent_since is None else onset - self._silent_since
        self.empty_turns = 0
        self.feel.heard(onset, velocity)
        self.room.heard(onset)
        self._memory.put(change.number, Note(onset, pitch, PROVISIONAL_BEATS, velocity))
        self._emit(NoteStarted("player", onset, pitch, velocity))
