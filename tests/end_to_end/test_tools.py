"""`segue ports`, `doctor` and `send`, with a JACK server and without any MIDI; and wrong use."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from stage import Segue, free_ports

from daemon import __version__
from daemon.take.takes import segue_command


def segue_does(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [*segue_command(), *words]
    env = {**os.environ, **(env or {})}
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=120, check=False
    )


NO_JACK = {"JACK_DEFAULT_SERVER": "segue-test-nobody", "JACK_NO_START_SERVER": "1"}
without_alsa = pytest.mark.skipif(
    Path("/dev/snd/seq").exists(), reason="ALSA's sequencer is there: MIDI cannot be taken away"
)


@pytest.fixture(scope="module")
def daemon(segue, tmp_path_factory) -> Segue:
    return segue(takes=tmp_path_factory.mktemp("takes"))


@pytest.fixture
def config(tiny, tmp_path) -> Path:
    """A configuration that has all it needs: a mind, free ports, and a folder for takes."""
    osc, control, stream = free_ports(3)
    path = tmp_path / "segue.toml"
    path.write_text(
        f'takes = "{tmp_path / "takes"}"\n[mind]\ncheckpoint = "{tiny}"\n[control]\n'
        f"osc_port = {osc}\ncontrol_port = {control}\nstream_port = {stream}\n"
    )
    return path


def test_ports_lists_what_jack_has(daemon):
    done = segue_does("ports", "--json")
    assert done.returncode == 0
    jack = json.loads(done.stdout)["JACK"]
    assert daemon.ports[0] in jack["outputs"]  # what others play into
    assert daemon.ports[1] in jack["inputs"]
    assert daemon.ports[0] in segue_does("ports").stdout


@without_alsa
def test_ports_without_midi_says_where_help_is():
    done = segue_does("ports", env=NO_JACK)
    assert done.returncode == 1
    assert "segue doctor" in done.stdout
    done = segue_does("ports", "--json", env=NO_JACK)
    assert (done.returncode, json.loads(done.stdout)) == (1, {})


def test_doctor_finds_nothing_broken(jack_server, config):
    done = segue_does("doctor", "--json", "--config", str(config))
    report = json.loads(done.stdout)
    broken = [f for f in report["findings"] if f["mend"] is not None and f["subject"] != "timer"]
    assert broken == []  # a busy machine may have a late timer
    subjects = {finding["subject"] for finding in report["findings"]}
    assert subjects >= {"midi", "mind", "clock", "timer", "takes"}
    assert any("JACK" in finding["found"] for finding in report["findings"])


@without_alsa
def test_doctor_names_the_mend_of_each_problem(config, tmp_path):
    nowhere = tmp_path / "file"
    nowhere.touch()
    path = tmp_path / "broken.toml"
    path.write_text(f'takes = "{nowhere}/takes"\n[mind]\ncheckpoint = "{tmp_path}/none"\n')
    done = segue_does("doctor", "--json", "--config", str(path), env=NO_JACK)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    mends = {f["subject"]: f["mend"] for f in report["findings"] if f["mend"] is not None}
    assert report["broken"] == sum(f["mend"] is not None for f in report["findings"])
    assert mends.keys() >= {"midi", "mind", "takes"}
    assert "jackd" in mends["midi"]
    assert mends["mind"] == "name one that exists, or make one with `segue train`"
    assert "--takes" in mends["takes"]
    lines = segue_does("doctor", "--config", str(path), env=NO_JACK).stdout.splitlines()
    assert len([line for line in lines if line.startswith("!!")]) >= 3


@without_alsa
def test_run_without_midi_says_what_to_do(tmp_path):
    done = segue_does("run", "--takes", str(tmp_path), env=NO_JACK)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "jackd" in line


def test_send_gives_orders_and_prints_the_answer(daemon):
    port = ("--control-port", str(daemon.control_port))
    assert segue_does("send", "ping", *port).stdout == f"{__version__}\n"
    assert segue_does("send", "bars", "7", *port).stdout == "7\n"
    assert segue_does("send", "state", *port).stdout.split()[2] == "7"
    daemon.await_state(bars=7)


def test_send_to_nobody_says_so():
    (port,) = free_ports(1)
    done = segue_does("send", "ping", "--control-port", str(port))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "segue run" in line


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["send", "nonsense"], "there are"),
        (["send", "bars", "0"], "1 to 64"),
        (["run", "--bars", "x"], "1 to 64"),
        (["run", "--seed", "x"], "'x'"),
        (["run", "--osc-port", "99999"], "0 to 65535"),
        (["run", "--mind", "studio"], "tcp://"),
        (["demo", "--piece", "sonata"], "choose from"),
        (["run", "--meter", "5"], "4/4"),
        (["run", "--config", "nowhere.toml"], "nowhere.toml"),
        (["run", "--api", "harmonium"], "choose from"),
        (["demo", "--bars", "3"], "32"),
        (["doctor", "--config", "nowhere.toml"], "nowhere.toml"),
        (["replay", "nowhere.journal"], "nowhere.journal"),
        (["continue", "nowhere.mid", "-o", "out.mid"], "nowhere.mid"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line_that_names_the_fix(words, fix):
    done = segue_does(*words)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"segue {words[0]}: ")
    assert fix in line


def test_a_second_segue_at_the_same_control_port_says_which_flag_to_give(daemon, tiny, tmp_path):
    port = ("--control-port", str(daemon.control_port), "--osc-port", "0")
    done = segue_does("run", "--takes", str(tmp_path), "--checkpoint", str(tiny), *port)
    assert done.returncode in (1, 2)
    assert "--control-port" in done.stderr
