"""A live line on the terminal: which bar, who plays, what. Knows effects and a text stream."""

import sys
from typing import TextIO

from daemon.interface.events import Effect, Handover, NoteStarted
from engine.meter import bar_at
from engine.protocol import Meter

NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
WIDTH = 96


class Progress:
    """On a terminal one line that is written over; elsewhere a line for each turn."""

    def __init__(self, *, bars: int, meter: tuple[int, int], stream: TextIO | None = None) -> None:
        self._bars = bars
        self._meters = (Meter(0.0, *meter),)
        self._stream = stream or sys.stderr
        self._overwrite = self._stream.isatty()
        self._voice = "player"
        self._line = ""
        self._notes: list[str] = []

    def watch(self, effect: Effect) -> None:
        """Show what an effect means for the listener."""
        if isinstance(effect, Handover):
            self._end_line()
            self._voice = effect.voice
        elif isinstance(effect, NoteStarted) and effect.voice == self._voice:
            self._notes.append(note_name(effect.pitch))
            self._show(effect.beat)

    def say(self, text: str) -> None:
        """Print a sentence above the line."""
        self._end_line()
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the last line as it is."""
        self._end_line()

    def _show(self, beat: float) -> None:
        length = self._meters[0].bar_beats
        bar = max(1, min(self._bars, int(bar_at(self._meters, beat).start / length) + 1))
        who = "Segue " if self._voice == "segue" else "player"
        head = f"bar {bar:3} of {self._bars}  {who}  "
        self._line = head + " ".join(self._notes)
        if self._overwrite:
            room = WIDTH - len(head)
            tail = " ".join(self._notes)[-room:]
            self._write(f"\r{head}{tail:<{room}}")

    def _end_line(self) -> None:
        if self._overwrite and self._line:
            self._write("\n")
        elif self._line:
            self._write(self._line[: 2 * WIDTH] + "\n")
        self._line, self._notes = "", []

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def note_name(pitch: int) -> str:
    """ "C4" for 60."""
    return f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}"
