"""The stand-in: answers while the mind is loading, late or gone.

Knows notes and bars; knows no weights, sockets or clocks, imports only the standard library, and
runs inside the player process. `answer` is a pure function of its arguments.

It is an n-gram over the session's own notes. Notes with one onset make an event. From event to
event it goes on as the session went on from an event like this one: first one on the same step of
its bar, with the same pitch class on top, reached by the same interval; failing that without the
interval; failing that on the same step; failing that any. What it takes over is the gap to the next
onset and the chord found there, with its durations and velocities, moved by octaves to where the
line is. So it plays nothing but rhythms and pitches that were heard.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from random import Random
from typing import NamedTuple

from engine.meter import BEAT_TOLERANCE, COMMON_TIME, bar_at
from engine.protocol import Meter, Note

STEPS_A_BEAT = 12  # sixteenths and triplets
HISTORY_BARS = 64
HISTORY_NOTES = 1200
OCTAVE = 12


class _Sound(NamedTuple):
    """One note of an event."""

    pitch: int
    steps: int  # duration
    velocity: int


class _Event(NamedTuple):
    """The notes of one onset, upwards."""

    at: int  # steps from beat 0
    step: int  # in its bar
    top: int  # its highest pitch
    interval: int  # from the top of the event before
    sounds: tuple[_Sound, ...]


def answer(
    notes: Sequence[Note],
    meters: Sequence[Meter],
    *,
    from_beat: float,
    until_beat: float,
    seed: int,
) -> list[Note]:
    """Notes with onsets in [from_beat, until_beat), the first one on `from_beat`, none beyond.

    Goes by what was played before `from_beat`; nothing heard, nothing answered.
    """
    meters = meters or (COMMON_TIME,)
    events = _events(_history(notes, meters, from_beat), meters)
    if not events or until_beat - from_beat <= BEAT_TOLERANCE:
        return []
    told = list(_told(events, meters, from_beat, until_beat, Random(seed)))
    return _as_notes(told, until_beat)


def _history(notes: Sequence[Note], meters: Sequence[Meter], from_beat: float) -> list[Note]:
    """The last notes before `from_beat`, in order; if there are none, the first ones after."""
    half_a_step = 0.5 / STEPS_A_BEAT
    ordered = sorted(notes, key=lambda note: (note.onset, note.pitch, note.duration))
    end = bisect_left(ordered, from_beat - half_a_step, key=lambda note: note.onset)
    if end == 0:
        return ordered[:HISTORY_NOTES]
    last_bar = bar_at(meters, ordered[end - 1].onset)
    earliest = last_bar.start - (HISTORY_BARS - 1) * last_bar.meter.bar_beats
    begin = bisect_left(ordered, earliest, key=lambda note: note.onset)
    return ordered[max(begin, end - HISTORY_NOTES) : end]


def _events(ordered: Iterable[Note], meters: Sequence[Meter]) -> list[_Event]:
    """Notes in order, gathered by the step that their onset rounds to."""
    found: list[_Event] = []
    bar = bar_at(meters, 0.0)
    for at, notes in groupby(ordered, key=lambda note: round(note.onset * STEPS_A_BEAT)):
        beat = at / STEPS_A_BEAT
        if not bar.start <= beat + BEAT_TOLERANCE < bar.end:
            bar = bar_at(meters, beat)
        sounds = [
            _Sound(note.pitch, round(note.duration * STEPS_A_BEAT) or 1, note.velocity)
            for note in notes
        ]
        if len(sounds) > 1:
            sounds = sorted({sound.pitch: sound for sound in sounds}.values())
        step = at - round(bar.start * STEPS_A_BEAT)
        top = sounds[-1].pitch
        interval = top - found[-1].top if found else 0
        found.append(_Event(at, step, top, interval, tuple(sounds)))
    return found


class _Memory:
    """Which events were followed by another before a silence, by their step."""

    def __init__(self, events: Sequence[_Event], *, longest_gap: int) -> None:
        self._events = events
        self._followed: list[int] = []
        self._by_step: dict[int, list[int]] = {}
        for index in range(len(events) - 1):
            event = events[index]
            if events[index + 1].at - event.at <= longest_gap:
                self._followed.append(index)
                self._by_step.setdefault(event.step, []).append(index)

    def like(self, step: int, top: int, interval: int) -> list[int]:
        """The events most like this one; none only if none was followed."""
        events = self._events
        on_step = self._by_step.get(step, self._followed)
        same_pitch = [i for i in on_step if (events[i].top - top) % OCTAVE == 0]
        same_way = [i for i in same_pitch if events[i].interval == interval]
        return same_way or same_pitch or on_step


def _told(
    events: Sequence[_Event],
    meters: Sequence[Meter],
    from_beat: float,
    until_beat: float,
    random: Random,
) -> Iterator[tuple[float, tuple[_Sound, ...]]]:
    """The answer as (onset, sounds)."""
    bar = bar_at(meters, from_beat)
    memory = _Memory(events, longest_gap=round(bar.meter.bar_beats * STEPS_A_BEAT))
    heard = {sound.pitch for event in events for sound in event.sounds}
    step = round((from_beat - bar.start) * STEPS_A_BEAT)
    event = random.choice([event for event in events if event.step == step] or events)
    sounds, interval, steps, beat = event.sounds, event.interval, 0, from_beat
    while beat < until_beat - BEAT_TOLERANCE:
        yield beat, sounds
        top = sounds[-1].pitch
        alike = memory.like(step, top, interval)
        if alike:
            index = random.choice(alike)
            before, event = events[index], events[index + 1]
            steps += event.at - before.at
        else:  # nothing but single events was heard: one on each beat
            before = event = random.choice(events)
            steps += STEPS_A_BEAT
        octaves = round((top - before.top) / OCTAVE)
        sounds = _moved(event.sounds, OCTAVE * octaves, heard)
        interval = sounds[-1].pitch - top
        beat = from_beat + steps / STEPS_A_BEAT
        step = round((beat - bar_at(meters, beat).start) * STEPS_A_BEAT)


def _moved(sounds: Iterable[_Sound], interval: int, heard: set[int]) -> tuple[_Sound, ...]:
    """Sounds moved by an interval, those that would leave what was heard left in place."""
    moved: dict[int, _Sound] = {}
    for sound in sounds:
        pitch = sound.pitch + interval
        pitch = pitch if pitch in heard else sound.pitch
        moved.setdefault(pitch, sound._replace(pitch=pitch))
    return tuple(sorted(moved.values()))


def _as_notes(told: Sequence[tuple[float, tuple[_Sound, ...]]], until_beat: float) -> list[Note]:
    """Notes in order, each cut where its pitch is struck again or the answer ends."""
    next_strike: dict[int, float] = {}
    found: list[Note] = []
    for onset, sounds in reversed(told):
        for sound in reversed(sounds):
            room = next_strike.get(sound.pitch, until_beat) - onset
            duration = min(sound.steps / STEPS_A_BEAT, room)
            found.append(Note(onset, sound.pitch, duration, sound.velocity))
            next_strike[sound.pitch] = onset
    return found[::-1]
