"""What was played, as the mind is told it: changes since the last telling, or the whole of it.

Pure; knows notes and beats. It keeps as much as a mind can use and no more, so that a session can
last for hours.
"""

from engine.protocol import Meter, Note, Prompt

#: Notes that ended this long before the newest are forgotten; well beyond any mind's context.
KEPT_BEATS = 256.0
#: Look for notes to forget after this many new ones.
SWEEP_EVERY = 256


class Memory:
    """Numbered notes, and which of them the mind has not been told as they are now."""

    def __init__(self, meters: tuple[Meter, ...]) -> None:
        self.meters = meters
        self._notes: dict[int, Note] = {}
        self._untold: dict[int, Note] = {}
        self._dropped: list[int] = []
        self._meters_untold = False
        self._known: set[int] = set()  # numbers that the mind was told and that are kept
        self._until_sweep = SWEEP_EVERY

    @property
    def has_news(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._untold or self._dropped or self._meters_untold)

    def set_meters(self, meters: tuple[Meter, ...]) -> None:
        """The map of meters has changed."""
        self.meters = meters
        self._meters_untold = True

    def put(self, number: int, note: Note) -> None:
        """Note `number` is as `note` says, from now on."""
        if self._notes.get(number) != note:
            self._notes[number] = self._untold[number] = note
            self._sweep(note.end)

    def drop(self, number: int) -> None:
        """Note `number` was not played after all."""
        if self._notes.pop(number, None) is not None:
            self._untold.pop(number, None)
            if number in self._known:
                self._known.remove(number)
                self._dropped.append(number)

    def notes(self) -> list[Note]:
        """Every note that is kept, in order."""
        return sorted(self._notes.values())

    def news(self) -> Prompt:
        """Return what has changed since it was last told, and count it as told."""
        prompt = Prompt(tuple(self._untold.items()), tuple(self._dropped), self.meters)
        self._told()
        return prompt

    def everything(self) -> Prompt:
        """Return all that is kept, for a mind that knows nothing, and count it as told."""
        self._told()
        self._known = set(self._notes)
        return Prompt(tuple(self._notes.items()), (), self.meters, reset=True)

    def _told(self) -> None:
        self._known.update(self._untold)
        self._untold, self._dropped = {}, []
        self._meters_untold = False

    def _sweep(self, newest_beat: float) -> None:
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        self._until_sweep = SWEEP_EVERY
        horizon = newest_beat - KEPT_BEATS
        self._notes = {n: note for n, note in self._notes.items() if note.end >= horizon}
        # A mind that never comes must not make this grow: what is forgotten is not told any more.
        self._untold = {n: note for n, note in self._untold.items() if n in self._notes}
        self._known &= self._notes.keys()
