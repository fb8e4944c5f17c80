"""The pieces as they are written, and the performer who recorded them."""

import itertools
import random
from fractions import Fraction
from pathlib import Path

import pytest

import daemon
from daemon.performances.notation import NotationError, read_piece
from daemon.performances.performer import EARLIEST_MS, Performer, Wander, record
from daemon.performances.recordings import ANTICIPATION_MS, load, turn

FOLDER = Path(daemon.__file__).parent / "performances"
PIECES = {path.stem: read_piece(path) for path in sorted(FOLDER.glob("*.txt"))}
pieces = pytest.mark.parametrize("name", PIECES)

HEAD = "title: Sketch\nsource: ours\nmeter: 4/4\nbpm: 120\nseed: 1\nphrase mf\n"
MAJOR = (0, 2, 4, 5, 7, 9, 11)


def sketch(tmp_path, text):
    (tmp_path / "sketch.txt").write_text(HEAD + text)
    return read_piece(tmp_path / "sketch.txt")


def written(piece):
    return [(float(key.onset), key.pitch, float(key.duration)) for key in piece.keys]


def test_words(tmp_path):
    piece = sketch(tmp_path, "1 R C4:q. Eb5:g E5:e> -:q F#4+A4:e' -:e\n1 L C3:qt D3:qt E3:qt F3:h")
    third = pytest.approx(2 / 3)
    assert sorted(written(piece)) == [
        (0, 48, third),
        (0, 60, 1.5),
        (third, 50, third),
        (pytest.approx(4 / 3), 52, third),
        (1.5, 75, 0),
        (1.5, 76, 0.5),
        (2, 53, 2),
        (3, 66, 0.5),
        (3, 69, 0.5),
    ]
    assert [key.pitch for key in piece.keys if key.accent] == [76]
    assert [key.pitch for key in piece.keys if key.staccato] == [66, 69]
    assert [key.pitch for key in piece.keys if key.role == "inner"] == [66]


def test_ties_go_over_bar_lines_and_copies(tmp_path):
    piece = sketch(tmp_path, "1 R -:h. C4:q~\n2 R C4+E4:w~\n3 R C4+E4:h D4:h\n4 = 1\n")
    assert piece.bars == 4
    assert written(piece) == [(3, 60, 7), (4, 64, 6), (10, 62, 2), (15, 60, 1)]


def test_pedal(tmp_path):
    piece = sketch(tmp_path, "1 R C4:w\n1 P h -:q q\n")
    assert piece.pedal == ((0, 2), (3, 4))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 R C4:h", "bar 1 R is 2 beats long"),
        ("1 R C4:w\n1 P h", "the pedal of bar 1 does not fill it"),
        ("1 R H4:w", "H4:w is no word"),
        ("1 R C4:w!", "C4:w! is no word"),
        ("1 R Cis:w", "Cis is no key"),
        ("1 R C4:w\n3 R C4:w", "not in order"),
        ("1 R C4:w\n2-3 = 1", "another number of bars"),
        ("da capo", "line 7 of sketch.txt is none of the notation: da capo"),
    ],
)
def test_a_slip_of_the_pen_is_named(tmp_path, text, said):
    with pytest.raises(NotationError, match=said):
        sketch(tmp_path, text)


@pieces
def test_the_recording_is_what_the_performer_plays(name):
    recorded = (FOLDER / f"{name}.mid").read_bytes()
    assert recorded == record(PIECES[name]), "record again, as README.md says"


@pieces
def test_each_key_is_struck_in_the_bar_it_is_written_in(name):
    piece, recording = PIECES[name], load(name)
    for bar in range(piece.bars):
        line = bar * piece.bar_beats
        asked = sorted(key.pitch for key in piece.keys if 0 <= key.onset - line < piece.bar_beats)
        played = turn(recording, bar, 1)
        assert sorted(m[1] for _, m in played if m[0] & 0xF0 == 0x90) == asked


@pieces
def test_a_person_plays_it(name):
    """Some milliseconds off the beat, melody before chord, and no tempo of his own."""
    piece = PIECES[name]
    performer = Performer(piece)
    presses = performer.play()

    def late_ms(key):
        at = performer.swung(key.onset)
        near = min((p.down - at for p in presses if p.pitch == key.pitch), key=abs)
        return near * 60_000 / piece.bpm

    late = {role: [late_ms(key) for key in piece.keys if key.role == role] for role in ROLES}
    everything = [ms for lates in late.values() for ms in lates]
    middle = sum(everything) / len(everything)
    deviation = (sum((ms - middle) ** 2 for ms in everything) / len(everything)) ** 0.5
    assert 5 < deviation < 15
    assert abs(middle) < 6, "the tempo stays"
    assert min(everything) >= EARLIEST_MS - 0.01 > -ANTICIPATION_MS
    if piece.behind_ms == 0:
        assert 6 < mean(late["inner"]) - mean(late["melody"]) < 22


ROLES = ("melody", "inner", "bass")


def mean(numbers):
    return sum(numbers) / len(numbers)


def test_the_noise_is_slow_and_of_unit_deviation():
    wander = Wander(random.Random(1))
    steps = [wander.step() for _ in range(20_000)]
    assert mean([step**2 for step in steps]) ** 0.5 == pytest.approx(1, abs=0.05)
    neighbours = mean([a * b for a, b in itertools.pairwise(steps)])
    far = mean([a * b for a, b in zip(steps, steps[64:], strict=False)])
    assert neighbours > 0.4
    assert abs(far) < 0.1


@pytest.mark.parametrize(
    ("name", "tonic", "scale", "share"),
    [
        ("ode", 2, MAJOR, 0.95),
        ("choral", 7, MAJOR, 0.96),
        ("greensleeves", 9, (0, 2, 3, 5, 7, 8, 9, 10, 11), 0.99),  # with both sixths and sevenths
        ("blues", 0, (0, 2, 3, 4, 5, 7, 9, 10), 0.85),
    ],
)
def test_the_key(name, tonic, scale, share):
    degrees = [(key.pitch - tonic) % 12 for key in PIECES[name].keys]
    assert sum(degree in scale for degree in degrees) / len(degrees) > share
    bass = [key.pitch for key in PIECES[name].keys if key.role == "bass"]
    assert bass[-1] % 12 == tonic


def line(name, bars, role):
    piece = PIECES[name]
    keys = [key for key in piece.keys if key.onset < bars * piece.bar_beats and key.role == role]
    return " ".join(f"{NAMES[key.pitch % 12]}{length(key.duration)}" for key in keys)


NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def length(beats):
    return {Fraction(1, 2): "'", Fraction(3, 2): ".", Fraction(1): "", Fraction(2): "_"}[beats]


def test_the_tunes():
    assert line("ode", 4, "melody") == "F# F# G A A G F# E D D E F# F#. E' E_"
    assert line("greensleeves", 8, "melody") == (
        "C_ D E. F#' E D_ B G. A' B C_ A A. G#' A B_ G# E_ A"
    )
    assert line("choral", 7, "melody") == "G_ A_ B_ A_ G_ F#_ E_ D_ G_ A_ B_ C_ B_ A_"
    assert line("choral", 7, "bass") == "G_ F#_ G_ F#_ E_ D_ A_ D_ E_ D_ G_ E_ D_ D_"
    assert line("blues", 4, "bass") == "C E G E F Eb D C# C Bb G A C G C E"


def test_the_blues_swings():
    presses = Performer(PIECES["blues"]).play()
    off_beats = [press.down % 1 for press in presses if 0.45 < press.down % 1 < 0.75]
    assert 0.61 < mean(off_beats) < 0.65
