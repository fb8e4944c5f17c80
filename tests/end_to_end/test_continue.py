"""`segue continue` as it is typed: a process, its mind with a tiny network, files on disk."""

import subprocess
from pathlib import Path

import pytest
import torch

from daemon.take.midi_file import read_score, write_take
from daemon.take.takes import segue_command
from engine.meter import bar_at
from engine.protocol import Meter, Note
from models.checkpoint import Checkpoint, save_checkpoint
from models.network import Network, NetworkConfig
from models.vocabulary import standard_vocabulary

TIMEOUT_S = 120

#: Two bars of 3/4, then 6/8, and the second slower than the first.
METERS = (Meter(0.0, 3, 4), Meter(6.0, 6, 8))
TEMPOS = ((0.0, 120.0), (6.0, 90.0))
MELODY = [Note(float(beat), 72 + beat % 5, 1.0, 80) for beat in range(6)]
MELODY += [Note(6 + eighth / 2, 67 + eighth % 4, 0.5, 70) for eighth in range(11)]
BASS = [Note(bar * 3.0, 48 + bar, 3.0, 60) for bar in range(4)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    vocabulary = standard_vocabulary()
    config = NetworkConfig(
        vocabulary=len(vocabulary), layers=2, width=32, heads=2, ffn=48, context=512
    )
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_checkpoint(path, Checkpoint(Network(config), vocabulary, {}))
    return path


@pytest.fixture
def piece(tmp_path: Path) -> Path:
    path = tmp_path / "piece.mid"
    write_take(path, parts=[("melody", MELODY), ("bass", BASS)], meters=METERS, tempos=TEMPOS)
    return path


def segue(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `segue continue` from another folder than ours."""
    return subprocess.run(
        [*segue_command(), "continue", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd="/",
        check=False,
    )


def test_it_goes_on_in_the_same_bars_and_gives_the_same_bytes_for_a_seed(piece, checkpoint):
    takes = {}
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        out = piece.with_name(f"{name}.mid")
        run = segue(piece, "-o", out, "--bars", 4, "--seed", seed, "--checkpoint", checkpoint)
        assert run.returncode == 0, run.stderr
        assert run.stdout == ""
        assert run.stderr.count("\n") == 1
        takes[name] = out.read_bytes()
    assert takes["first"] == takes["again"] != takes["other"]

    score = read_score(piece.with_name("first.mid"))
    assert score.meters == METERS
    assert score.tempos == read_score(piece).tempos
    onsets = [beat for beat, message in score.messages if message[0] == 0x91 and message[2]]
    assert onsets
    assert 12 <= min(onsets) <= max(onsets) < 24
    assert score.length <= 24
    assert bar_at(score.meters, score.end).start == pytest.approx(score.end)


def test_a_broken_file_and_a_missing_checkpoint_each_get_one_line(piece, tmp_path):
    out = tmp_path / "out.mid"
    piece.write_bytes(piece.read_bytes()[:-10])
    run = segue(piece, "-o", out)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        f"segue continue: cannot read {piece}: it breaks off before its end; "
        "export it again as a MIDI file of type 1\n"
    )

    write_take(piece, parts=[("melody", MELODY)], meters=METERS, tempos=TEMPOS)
    run = segue(piece, "-o", out, "--checkpoint", tmp_path / "none")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.count("\n") == 1
    assert f"there is no checkpoint {tmp_path / 'none.json'}; name one that exists" in run.stderr
    assert not out.exists()
