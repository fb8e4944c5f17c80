"""Tells Segue's own notes from the player's, where an armed track sends them back. Pure.

A note-on is taken for an echo when it has the pitch and the velocity of one that left less than
`WINDOW_NS` before, on any channel (a DAW may put it on another). It is taken so at once: were the
first ones let through, Segue would yield to itself. Any number of tracks may send a note back.

The note-off that belongs to an echo is swallowed, too, or it would end a note that the player
holds on the same key. Where both are down, a note-off is the echo's if one of ours left just
before, else the player's; either way as many pass as keys were struck.

Who doubles Segue's line by hand is not swallowed: 128 velocities apart, two hands rarely agree
within the window. An instrument that always sends one velocity is the exception: a note that Segue
happens to strike with the same one, and the player a moment after it, is lost. A track that
changes velocity or pitch on the way back hides its echoes; nothing here can tell them from playing.
"""

from collections import Counter, deque
from dataclasses import dataclass

from daemon.interface.messages import NOTE_OFF, NOTE_ON

NS_PER_MS = 1_000_000
#: A DAW's way from its MIDI input to its MIDI output: two buffers of 2048 frames at 44.1 kHz are
#: 93 ms, a Bluetooth hop adds some 20. Longer would swallow what a player repeats after Segue.
WINDOW_NS = 150 * NS_PER_MS
#: So many of our notes in a row that all came back are no chance.
SURE_NOTES = 3
#: What is remembered: more notes than can leave within the window.
MEMORY = 256


@dataclass(slots=True)
class _Struck:
    """A note-on of ours."""

    left_ns: int
    pitch: int
    velocity: int
    echo_ns: int | None = None  # how long after it left it first came back


class EchoGuard:
    """Told what leaves, in the order of deciding; asked of each channel message that comes in.

    All times are the session's: the input's latency has been taken off what comes in, and what is
    due leaves earlier by the output's.
    """

    def __init__(self, *, input_latency_ns: int = 0, output_latency_ns: int = 0) -> None:
        self._input_latency_ns = input_latency_ns
        self._output_latency_ns = output_latency_ns
        self._struck: deque[_Struck] = deque(maxlen=MEMORY)
        self._released: deque[tuple[int, int | None]] = deque(maxlen=MEMORY)  # (left, pitch or all)
        self._echoing: Counter[tuple[int, int]] = Counter()  # (channel, pitch): echoes still down
        self._held: set[tuple[int, int]] = set()  # (channel, pitch) that the player holds
        self._told = False

    def sent(self, due_ns: int, message: bytes) -> None:
        """A message of ours was committed for `due_ns`; only notes matter here."""
        if len(message) != 3 or message[0] & 0xF0 not in (NOTE_OFF, NOTE_ON):
            return
        left_ns = due_ns - self._output_latency_ns
        if _strikes(message):
            self._struck.append(_Struck(left_ns, message[1], message[2]))
        else:
            self._released.append((left_ns, message[1]))

    def released(self, t_ns: int) -> None:
        """Everything of ours was released at `t_ns`; what was to leave after it never does."""
        struck = [item for item in self._struck if item.left_ns <= t_ns]
        released = [item for item in self._released if item[0] <= t_ns]
        self._struck = deque(struck, maxlen=MEMORY)
        self._released = deque([*released, (t_ns, None)], maxlen=MEMORY)

    def is_echo(self, t_ns: int, message: bytes) -> bool:
        """Whether a channel message that came in is our own; the session then ignores it."""
        if len(message) != 3 or message[0] & 0xF0 not in (NOTE_OFF, NOTE_ON):
            return False
        came_ns = t_ns + self._input_latency_ns
        key = (message[0] & 0x0F, message[1])
        if _strikes(message):
            return self._is_echoed_strike(came_ns, key, message[2])
        return self._is_echoed_release(came_ns, key)

    def new_loop_ms(self) -> float | None:
        """How long the way back is, once, when it has become sure that there is one; else None."""
        if self._told or not self._is_sure():
            return None
        self._told = True
        return max(struck.echo_ns or 0 for struck in self._struck) / NS_PER_MS

    def _is_echoed_strike(self, came_ns: int, key: tuple[int, int], velocity: int) -> bool:
        self._forget_lost_releases(came_ns, key)
        for struck in reversed(self._struck):
            if (struck.pitch, struck.velocity) != (key[1], velocity):
                continue
            if 0 < came_ns - struck.left_ns <= WINDOW_NS:  # nothing comes back before it left
                if struck.echo_ns is None:
                    struck.echo_ns = came_ns - struck.left_ns
                self._echoing[key] += 1
                return True
        if key in self._held:  # it must have come up: his note-off was taken for the echo's
            self._echoing[key] += 1
        self._held.add(key)
        return False

    def _is_echoed_release(self, came_ns: int, key: tuple[int, int]) -> bool:
        is_held = key in self._held
        if not self._echoing[key] or (is_held and not self._just_released(came_ns, key[1])):
            self._held.discard(key)
            return False
        self._echoing[key] -= 1
        return True

    def _just_released(self, came_ns: int, pitch: int) -> bool:
        return any(
            of in (pitch, None) and 0 < came_ns - left_ns <= WINDOW_NS
            for left_ns, of in self._released
        )

    def _forget_lost_releases(self, came_ns: int, key: tuple[int, int]) -> None:
        """Expect no more note-offs for a pitch that we let go of long ago: they were lost."""
        if not self._echoing[key]:
            return
        last_on_ns = max((s.left_ns for s in self._struck if s.pitch == key[1]), default=0)
        last_off_ns = max((ns for ns, of in self._released if of in (key[1], None)), default=0)
        if last_off_ns >= last_on_ns and came_ns - last_off_ns > WINDOW_NS:
            del self._echoing[key]

    def _is_sure(self) -> bool:
        in_a_row = 0
        for struck in self._struck:
            in_a_row = 0 if struck.echo_ns is None else in_a_row + 1
            if in_a_row == SURE_NOTES:
                return True
        return False


def notice(lag_ms: float) -> str:
    """What to tell the player about a loop. The shell puts in the ports' real names."""
    return (
        f"Segue's own notes come back from Segue Out to Segue In after {lag_ms:.0f} ms, and are "
        "ignored: do not send the track that Segue plays to Segue In, or switch its monitoring off"
    )


def _strikes(message: bytes) -> bool:
    return message[0] & 0xF0 == NOTE_ON and message[2] > 0
