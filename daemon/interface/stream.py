"""The stream that subscribers hear: effects as topics with plain values. Pure.

Topics and values, the same over OSC (`/segue/TOPIC values…`) and ZeroMQ:

    state     mode, phase, bars, bpm, playing (0 or 1), mind, clock, beat
    played    voice, pitch, velocity, beat          a note begins
    released  voice, pitch, beat, duration          it has ended
    planned   epoch, pitch, velocity, beat, duration   Segue means to play it, and may think again
    handover  voice, beat                           whose turn it is from this beat on
    tempo     bpm, beat
    cut       pitch, beat                           a note of Segue's that came too late
    take      recording (0 or 1), beat
    notice    text                                  what the player should know
"""

from typing import TypeAlias

from daemon.interface.events import (
    Cut,
    Effect,
    Handover,
    NoteEnded,
    NoteStarted,
    Noticed,
    Planned,
    StateChanged,
    TakeMarked,
    TempoChanged,
)

Value: TypeAlias = int | float | str

TOPICS = ("state", "played", "released", "planned", "handover", "tempo", "cut", "take", "notice")


def message_of(effect: Effect) -> tuple[str, tuple[Value, ...]] | None:
    """Return topic and values of an effect, or None for one that is nobody else's business."""
    match effect:
        case StateChanged():
            return "state", state_values(effect)
        case NoteStarted(voice, beat, pitch, velocity):
            return "played", (voice, pitch, velocity, beat)
        case NoteEnded(voice, note):
            return "released", (voice, note.pitch, note.end, note.duration)
        case Planned(epoch, note):
            return "planned", (epoch, note.pitch, note.velocity, note.onset, note.duration)
        case Handover(voice, beat):
            return "handover", (voice, beat)
        case TempoChanged(beat, bpm):
            return "tempo", (bpm, beat)
        case Cut(note):
            return "cut", (note.pitch, note.onset)
        case TakeMarked(beat, recording):
            return "take", (int(recording), beat)
        case Noticed(text):
            return "notice", (text,)
    return None


def state_values(state: StateChanged) -> tuple[Value, ...]:
    """The state as it is told to OSC and ZeroMQ, in the order that the README gives."""
    return (
        state.mode,
        state.phase,
        state.bars,
        state.bpm,
        int(state.playing),
        state.mind,
        state.clock,
        state.beat,
    )
