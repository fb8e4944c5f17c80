"""What subscribers and the terminal are told."""

import io
from typing import get_args

import pytest

from daemon.cli.progress import Progress, note_name
from daemon.interface.events import (
    Cut,
    Effect,
    Handover,
    NoteEnded,
    NoteStarted,
    Noticed,
    Planned,
    ReleaseAll,
    Send,
    StateChanged,
    TakeMarked,
    Tell,
    TempoChanged,
)
from daemon.interface.stream import TOPICS, message_of
from engine.protocol import Cancel, Note

C = Note(4.0, 60, 0.5, 80)
TOLD: list[tuple[Effect, tuple[str, tuple[object, ...]] | None]] = [
    (
        StateChanged("trade", "idle", 4, 120.0, False, "ready", "midi lost", 0.0),
        ("state", ("trade", "idle", 4, 120.0, 0, "ready", "midi lost", 0.0)),
    ),
    (NoteStarted("player", 4.0, 60, 80), ("played", ("player", 60, 80, 4.0))),
    (NoteEnded("segue", C), ("released", ("segue", 60, 4.5, 0.5))),
    (Planned(3, C), ("planned", (3, 60, 80, 4.0, 0.5))),
    (Handover("segue", 16.0, 99), ("handover", ("segue", 16.0))),
    (TempoChanged(8.0, 97.5), ("tempo", (97.5, 8.0))),
    (Cut(C), ("cut", (60, 4.0))),
    (TakeMarked(8.0, True), ("take", (1, 8.0))),
    (Noticed("a loop"), ("notice", ("a loop",))),
    (Send(5, b"\x90\x3c\x50"), None),
    (ReleaseAll(), None),
    (Tell(Cancel(1)), None),
]


@pytest.mark.parametrize(("effect", "message"), TOLD)
def test_how_an_effect_is_told(effect: Effect, message: object) -> None:
    assert message_of(effect) == message


def test_every_effect_and_every_topic_is_in_the_table() -> None:
    assert {type(effect) for effect, _ in TOLD} == set(get_args(Effect))
    assert [message[0] for _, message in TOLD if message] == list(TOPICS)


# The line on the terminal.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(stream: io.StringIO) -> str:
    progress = Progress(bars=32, meter=(4, 4), stream=stream)
    for beat, pitch in ((0.0, 60), (2.0, 64)):
        progress.watch(NoteStarted("player", beat, pitch, 80))
    progress.watch(NoteStarted("segue", 3.9, 96, 80))  # on its way before its turn
    progress.say("the mind is ready")
    progress.watch(NoteStarted("player", 4.0, 67, 80))
    progress.watch(Handover("segue", 16.0, 0))
    progress.watch(NoteStarted("segue", 16.0, 72, 80))
    progress.watch(NoteEnded("segue", C))
    progress.close()
    progress.close()
    return stream.getvalue()


def test_in_a_log_there_is_a_line_for_each_turn() -> None:
    assert watched(io.StringIO()).splitlines() == [
        "bar   1 of 32  player  C4 E4",
        "the mind is ready",
        "bar   2 of 32  player  G4",
        "bar   5 of 32  Segue   C5",
    ]


def test_on_a_terminal_the_line_is_written_over() -> None:
    shown = watched(Terminal())
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in shown.split("\n")]
    assert lines == [
        "bar   1 of 32  player  C4 E4",
        "the mind is ready",
        "bar   2 of 32  player  G4",
        "bar   5 of 32  Segue   C5",
        "",
    ]


def test_a_long_turn_shows_its_last_notes_in_the_width_of_the_terminal() -> None:
    terminal = Terminal()
    progress = Progress(bars=32, meter=(4, 4), stream=terminal)
    for step in range(200):
        progress.watch(NoteStarted("player", step / 16, 60 + step % 12, 80))
    last = terminal.getvalue().rsplit("\r", 1)[-1]
    assert len(last) == 96
    assert last.endswith(note_name(60 + 199 % 12))


@pytest.mark.parametrize(("pitch", "name"), [(0, "C-1"), (60, "C4"), (61, "C#4"), (127, "G9")])
def test_names_of_notes(pitch: int, name: str) -> None:
    assert note_name(pitch) == name
