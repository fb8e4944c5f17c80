"""Twelve answers to twelve prompts, to be seen and heard: models/examples/ is made by this.

Of each kind of music three pieces of the test split and a place in each are drawn by the seed, and
one answer is asked for; none is drawn again because of how it sounds. Prompts come only from
pieces that may be passed on and whose music is in the public domain or their authors' own: POP909's
songs and the solos of the Weimar Jazz Database are under others' copyright, so popular songs and
jazz are here as the melodies of old lead sheets.

    python tests/benchmarks/example_answers.py --data DATA --out models/examples
"""

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from daemon.take.midi_file import write_take
from daemon.take.piano_roll import draw_piano_roll
from engine.backends import NAMES, open_model
from engine.decoder import Decoder
from engine.judging import LiveAnswerer, meters_of, notes_of
from engine.protocol import Meter, Note
from models.evaluation.cases import Case, cases_of
from models.evaluation.pieces import piece_of
from models.performance import performance_of
from models.scores import ScoreError

EACH = 3
ANSWER_BARS = 8

#: OpenEWLD does not tell songs from jazz. These are of the test split, from before 1930, and by
#: composers who died before 1955.
SONGS = ("Look for the Silver Lining", "Make Believe", "Beautiful Isle", "You and I Were Young")
JAZZ = ("Somebody Loves Me", "How Long Has This Been Going On", "Liza", "Trouble in Mind")


def kind_of(entry: dict[str, Any]) -> str | None:
    """Which of the four kinds a piece of the index is an example for."""
    corpus, title = entry["corpus"], entry["title"]
    if corpus == "openewld":
        if any(name in title for name in SONGS):
            return "pop"
        if any(name in title for name in JAZZ):
            return "jazz"
        return "folk" if entry["composer"] == "[Traditional]" else None
    if corpus == "openhymnal" or (corpus == "mutopia_ccby" and entry["style"] == "folk"):
        return "folk"
    return "classical" if corpus in ("mutopia_pd", "chopin_fe", "openscore_lieder") else None


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt and where it is from."""

    kind: str
    entry: dict[str, Any]
    case: Case


def examples(data: Path, *, seed: int) -> Iterator[Example]:
    """Three of each kind, in the order in which they were drawn."""
    random = np.random.default_rng(seed)
    lines = (data / "index.jsonl").read_text(encoding="utf-8").splitlines()
    index = [entry for line in lines if (entry := json.loads(line))["split"] == "test"]
    for kind in ("pop", "jazz", "folk", "classical"):
        pool = [entry for entry in index if kind_of(entry) == kind]
        found = 0
        for at in random.permutation(len(pool)).tolist():
            archive, _, name = pool[at]["file"].partition("::")
            with zipfile.ZipFile(data / archive) as pieces:
                midi = pieces.read(name)
            try:
                piece = piece_of(performance_of(midi).placed())
            except ScoreError:
                continue
            cases = cases_of([piece], each=1, seed=int(random.integers(1_000_000)))
            if cases:  # too short otherwise, or of too many metres
                yield Example(kind, pool[at], cases[0])
                found += 1
            if found == EACH:
                break


def main() -> None:
    """Write a .mid and a .png each, and print the table of where they are from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the curated folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--backend", choices=NAMES, default="auto")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = open_model(args.checkpoint, backend=args.backend)
    answerer = LiveAnswerer(Decoder(model.backend, model.vocabulary))
    print("| file | prompt | answered from bar | source, licence |\n| --- | --- | --- | --- |")
    for number, example in enumerate(examples(args.data, seed=args.seed)):
        name = f"{example.kind}-{number % EACH + 1}"
        write(args.out / name, example, answerer, seed=args.seed, model=model.name)
        entry = example.entry
        print(
            f"| {name} | {entry['title'].strip() or 'untitled'} ({entry['composer']}) "
            f"| {example.case.bar + 1} | {entry['corpus']}: {entry['licence']} |"
        )


def write(path: Path, example: Example, answerer: LiveAnswerer, *, seed: int, model: str) -> None:
    """PATH.mid and PATH.png: eight bars of the piece, and eight of the answer."""
    case, entry = example.case, example.entry
    meters = meters_of(case.prompt)
    answer = _answer(answerer, case, meters[-1], seed=seed)
    parts = [("player", notes_of(case.prompt)), ("Segue", answer)]
    write_take(
        path.with_suffix(".mid"),
        parts=parts,
        meters=meters,
        tempos=[(0.0, entry["bpm"])],
        markers=[(case.from_beat, "Segue")],
    )
    draw_piano_roll(
        path.with_suffix(".png"),
        parts=parts,
        meters=meters,
        handovers=[(0.0, "player"), (case.from_beat, "Segue")],
        title=path.name,
        subtitle=f"{entry['title'].strip()} ({entry['composer']}), from bar {case.bar - 7}; "
        f"answered by {model}, seed {seed}",
    )


def _answer(answerer: LiveAnswerer, case: Case, meter: Meter, *, seed: int) -> list[Note]:
    until_beat = case.from_beat + ANSWER_BARS * meter.bar_beats
    found = answerer.answer(case.prompt, from_beat=case.from_beat, until_beat=until_beat, seed=seed)
    return [Note(note.onset, note.pitch, note.duration, note.velocity) for note in found]


if __name__ == "__main__":
    main()
