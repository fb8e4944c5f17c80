"""`segue continue`: the live prompt path, offline. A MIDI file in, the file and its answer out.

The score is played into the same timeline as a live player's messages, and the same mind answers.
The answer begins on the first bar line after the bar of the score's last onset.
"""

import argparse
import logging
import queue
import sys
from collections.abc import Callable
from pathlib import Path

from daemon.cli.settings_flags import add_setting_flags, settings_of
from daemon.interface.commands import CommandError
from daemon.interface.config import MindConfig, Settings
from daemon.listening.memory import Memory
from daemon.listening.timeline import Closed, Timeline
from daemon.runtime.mind import in_short, mind_of
from daemon.take.midi_file import Score, ScoreError, read_score, write_take
from daemon.take.whole_file import check_writable
from engine.meter import bar_at, bars_later
from engine.protocol import (
    Continue,
    Controls,
    Drafted,
    Finished,
    FromMind,
    Lost,
    Note,
    Ready,
    Refused,
)

SETTINGS = ("temperature", "top_k", "top_p")
#: A mind that says nothing for this long is not coming.
PATIENCE_S = 120.0
#: Several times what any mind keeps, and well within what fits into one message.
MOST_NOTES = 20_000
#: An onset this little before a bar line is heard on it: half a step of the grid.
EARLY_BEATS = 1 / 24
SEEDS = 2**63


class NoAnswer(RuntimeError):
    """The mind did not answer; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("input", type=Path, metavar="IN.mid")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.mid")
    parser.add_argument("--bars", type=_bars, default=4, help="bars to add (default 4)")
    parser.add_argument("--seed", type=_seed, default=0, help="same seed, same bytes (default 0)")
    parser.add_argument("--checkpoint", help="a checkpoint to use instead of the one that ships")
    add_setting_flags(parser, SETTINGS)


def run(args: argparse.Namespace) -> int:
    """Continue a file; 2 for an input that cannot be used, 1 if the mind or the disk fails."""
    # What the client of the mind warns of is told once, as the reason why there is no answer.
    logging.getLogger("segue").addHandler(logging.NullHandler())
    try:
        settings = settings_of(args, Settings(), SETTINGS)
        score = read_score(args.input)
    except (CommandError, ScoreError) as error:
        print(f"segue continue: {error}", file=sys.stderr)
        return 2
    try:
        check_writable(args.output)  # now, and not when the answer is there
        played = notes_of(score)
        answer = continue_score(
            score,
            played,
            bars=args.bars,
            settings=settings,
            seed=args.seed,
            checkpoint=args.checkpoint,
        )
        write_take(
            args.output,
            parts=[("player", played), ("Segue", answer)],
            meters=score.meters,
            tempos=score.tempos,
            markers=[(entry_beat(score, played), "Segue")],
        )
    except (NoAnswer, OSError) as error:
        print(f"segue continue: {error}", file=sys.stderr)
        return 1
    print(f"{args.output}: {len(played)} notes and {len(answer)} more", file=sys.stderr)
    return 0


def notes_of(score: Score) -> list[Note]:
    """Play the messages of `score` into a timeline; return the notes that come of it, in order."""
    timeline = Timeline()
    changes = [
        change for beat, message in score.messages for change in timeline.feed(beat, message)
    ]
    changes += timeline.close_all(score.length)
    return sorted(change.note for change in changes if isinstance(change, Closed))


def entry_beat(score: Score, played: list[Note]) -> float:
    """The bar line on which the answer enters: the end of the last bar with an onset."""
    last = max(note.onset for note in played)
    return bar_at(score.meters, last + EARLY_BEATS).end


def continue_score(
    score: Score,
    played: list[Note],
    *,
    bars: int,
    settings: Settings,
    seed: int,
    checkpoint: str | None,
) -> list[Note]:
    """Ask a mind of our own for `bars` bars after the score. Raises NoAnswer."""
    start = entry_beat(score, played)
    memory = Memory(score.meters)
    for number, note in enumerate(played[-MOST_NOTES:]):
        memory.put(number, note)
    said: queue.SimpleQueue[FromMind] = queue.SimpleQueue()
    controls = Controls(settings.temperature, settings.top_k, settings.top_p)
    with mind_of(MindConfig(checkpoint=checkpoint), said.put) as mind:
        _hear(said, lambda value: isinstance(value, Ready))
        mind.send(memory.everything())
        until = bars_later(score.meters, start, bars)
        mind.send(Continue(1, start, until, controls, seed))
        heard = _hear(said, lambda value: isinstance(value, Finished))
    return [value.note for value in heard if isinstance(value, Drafted)]


def _hear(
    said: "queue.SimpleQueue[FromMind]", is_last: Callable[[FromMind], bool]
) -> list[FromMind]:
    heard: list[FromMind] = []
    while not heard or not is_last(heard[-1]):
        try:
            heard.append(said.get(timeout=PATIENCE_S))
        except queue.Empty:
            raise NoAnswer(f"the mind said nothing for {PATIENCE_S:.0f} s") from None
        if isinstance(heard[-1], Lost | Refused):
            raise NoAnswer(in_short(heard[-1].reason))
    return heard


def _bars(text: str) -> int:
    bars = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= bars <= 256:
        raise argparse.ArgumentTypeError(f"a whole number of bars from 1 to 256, not {text!r}")
    return bars


def _seed(text: str) -> int:
    try:
        seed = int(text)
    except ValueError:
        seed = SEEDS
    if not abs(seed) < SEEDS:
        raise argparse.ArgumentTypeError(f"a whole number of at most 18 digits, not {text[:40]!r}")
    return seed
