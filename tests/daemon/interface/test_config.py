"""The configuration tree, and what is said about a mistake in it."""

import argparse
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli.settings_flags import add_setting_flags, settings_of
from daemon.interface import commands
from daemon.interface.commands import CommandError
from daemon.interface.config import (
    NS_PER_MS,
    Config,
    ConfigError,
    ControlConfig,
    PortsConfig,
    SessionConfig,
    Settings,
    parse_meter,
)


def config_of(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "segue.toml"
    path.write_text(text)
    return Config.from_file(path)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert config_of(tmp_path, "") == Config()


def test_everything_can_be_set(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        """
        takes = "/music/takes"
        [session]
        mode = "answer"
        bars = 2
        temperature = 1
        top_k = 40
        top_p = 0.9
        silence = 1.5
        enter = "bar"
        give_way = "along"
        feel = 50
        bpm = 96.5
        meter = "6/8"
        clock = "midi"
        seed = 7
        channel = 10
        foot_switch = 64
        [ports]
        api = "jack"
        input = "Piano"
        output = "Synth"
        input_latency_ms = 2
        output_latency_ms = 11.5
        [control]
        osc_port = 0
        control_port = 9201
        stream_port = 9202
        [mind]
        checkpoint = "big.safetensors"
        address = "tcp://10.0.0.2:9000"
        keys = "keys"
        """,
    )
    session = config.session
    assert session.settings == Settings(
        mode="answer",
        bars=2,
        temperature=1.0,
        top_k=40,
        top_p=0.9,
        silence=1.5,
        enter="bar",
        give_way="along",
        feel=50.0,
        bpm=96.5,
    )
    assert (session.meter, session.clock, session.seed) == ((6, 8), "midi", 7)
    assert (session.channel, session.foot_switch) == (9, 64)
    assert (config.ports.api, config.ports.input, config.ports.output) == ("jack", "Piano", "Synth")
    assert (config.ports.input_latency_ms, config.ports.output_latency_ms) == (2.0, 11.5)
    assert (config.control.osc_port, config.control.stream_port) == (0, 9202)
    assert (config.mind.checkpoint, config.mind.keys) == ("big.safetensors", "keys")
    assert config.takes == "/music/takes"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("volume = 3", "the configuration has no 'volume'; it may have session, ports"),
        ("session = 3", "session has to be a table: [session]"),
        ("takes = 3", "takes has to be the path of a folder"),
        ("[session]\ntempo = 90", "[session] has no 'tempo'; it may have mode, bars"),
        ("[session]\nbpm = 3000", "[session] bpm takes 20 to 400, not 3000"),
        ("[session]\nbars = 1.5", "[session] bars takes 1 to 64, not 1.5"),
        ("[session]\nbars = true", "[session] bars takes 1 to 64, not True"),
        ("[session]\nbpm = nan", "[session] bpm takes 20 to 400, not nan"),
        (f"[session]\nbpm = {10**400}", "[session] bpm takes 20 to 400, not 10000"),
        ("[session]\nmode = ['off']", "[session] mode takes off|trade|answer|follow, not ['off']"),
        ("[session]\nmeter = 4", "meter has to be a text in quotes, not 4"),
        ("[session]\nmeter = '4/5'", "meter has to be like 4/4, 3/4 or 6/8, not '4/5'"),
        (
            "[session]\nclock = 'sun'",
            "[session] clock takes auto|internal|midi|link|host, not 'sun'",
        ),
        ("[session]\nchannel = 0", "channel has to be a whole number from 1 to 16, not 0"),
        ("[session]\nseed = -1", "seed has to be a whole number from 0 to 2147483647, not -1"),
        ("[session]\nsend_clock = 1", "send_clock has to be true or false, not 1"),
        (
            "[session]\nsend_clock = true\nclock = 'midi'",
            'send_clock does not go with clock = "midi", a clock that Segue follows itself: take',
        ),
        ("[link]\njoin = 1", "[link] join has to be true or false, not 1"),
        ("[link]\npeers = 2", "[link] has no 'peers'; it may have join, start_stop"),
        ("[ports]\nin = 'Piano'", "[ports] has no 'in'; it may have api, input, output"),
        ("[ports]\ninput = ''", "[ports] input has to be a text in quotes, not ''"),
        (
            "[ports]\ninput_latency_ms = 501",
            "[ports] input_latency_ms takes milliseconds from 0 to 500, not 501",
        ),
        ("[ports]\noutput_latency_ms = -1", "output_latency_ms takes milliseconds from 0 to 500"),
        ("[ports]\noutput_latency_ms = nan", "takes milliseconds from 0 to 500, not nan"),
        ("[ports]\noutput_latency_ms = false", "takes milliseconds from 0 to 500, not False"),
        ("[ports]\noutput_latency_ms = '3'", "takes milliseconds from 0 to 500, not '3'"),
        (
            "[control]\nstream_port = 9101",
            "[control] control_port and stream_port are both 9101: give one of them another",
        ),
        ("[control]\nosc_port = 70000", "[control] osc_port has to be a whole number from 0 to"),
        ("[control]\nosc_port = true", "[control] osc_port has to be a whole number from 0 to"),
        (
            '[mind]\naddress = "studio"',
            "[mind] address takes an address like tcp://192.168.1.20:7340, not 'studio'",
        ),
        ("[mind]\nkeys = 5", "[mind] keys has to be a text in quotes, not 5"),
        ("[session\nbars = 1", "segue.toml is not TOML: "),
        ("bars = [" * 2000, "segue.toml is not TOML: "),
    ],
)
def test_a_mistake_gets_one_line_that_names_the_fix(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, text)
    line = str(caught.value)
    assert says in line
    assert "\n" not in line


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*: No such file"):
        Config.from_file(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"cannot read .*: Is a directory"):
        Config.from_file(tmp_path)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not TOML"):
        Config.from_file(tmp_path / "x.toml")


@pytest.mark.parametrize("text", ["4/4", "3/4", "6/8", "7/8", "5/4", "16/16"])
def test_meters(text: str) -> None:
    assert "/".join(map(str, parse_meter(text))) == text


@pytest.mark.parametrize(
    "text", ["", "4", "4/", "0/4", "17/4", "4/3", "4/4/4", "-3/4", "٣/٤", "3 /4"]
)
def test_what_is_no_meter(text: str) -> None:
    with pytest.raises(ConfigError, match="has to be like 4/4"):
        parse_meter(text)


def test_a_session_behind_slow_ports_decides_earlier() -> None:
    config = Config(ports=PortsConfig(input_latency_ms=3, output_latency_ms=40))
    plain, played = config.session, config.played
    assert (played.input_latency_ns, played.output_latency_ns) == (3 * NS_PER_MS, 40 * NS_PER_MS)
    assert played.horizon_ns == plain.horizon_ns + 40 * NS_PER_MS
    assert played.reaction_ns == plain.reaction_ns + 40 * NS_PER_MS
    assert Config().played == Config().session


def test_the_clock_is_sent_where_somebody_has_said_so(tmp_path: Path) -> None:
    assert not Config().session.send_clock
    assert config_of(tmp_path, "[session]\nsend_clock = true").session.send_clock


def test_control_ports_that_are_switched_off_may_be_alike() -> None:
    assert ControlConfig(control_port=0, stream_port=0).stream_port == 0


def setting_values(name: str) -> st.SearchStrategy[object]:
    (parameter,) = commands.find(name).parameters
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if parameter.kind is int:
        return st.integers(int(parameter.low), int(parameter.high))
    return st.floats(parameter.low, parameter.high)


configs = st.builds(
    SessionConfig,
    settings=st.fixed_dictionaries(
        {command.name: setting_values(command.name) for command in commands.settings()}
    ).map(lambda values: Settings(**values)),
    meter=st.sampled_from([(4, 4), (3, 4), (12, 8)]),
    clock=st.sampled_from(["auto", "internal", "midi", "link", "host"]),
    seed=st.integers(0, 2**31 - 1),
    channel=st.integers(0, 15),
    foot_switch=st.integers(0, 127),
    horizon_ns=st.integers(1, 10**9),
    input_latency_ns=st.integers(0, 10**9),
    output_latency_ns=st.integers(0, 10**9),
)


@given(configs)
def test_what_a_session_was_set_up_with_comes_back_from_a_journal(config: SessionConfig) -> None:
    assert SessionConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    "damage",
    [
        {"settings": {"mode": "loud"}},
        {"settings": 3},
        {"meter": [4, 3]},
        {"meter": None},
        {"clock": "sun"},
        {"clock": "midi", "send_clock": True},
        {"volume": 11},
    ],
)
def test_a_set_up_that_makes_no_sense_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SessionConfig.from_json({**SessionConfig().to_json(), **damage})


# Settings as flags.


def flags(*argv: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_setting_flags(parser)
    return settings_of(parser.parse_args(argv), Settings())


def test_flags_override_what_was_set() -> None:
    assert flags() == Settings()
    given_ = flags("--mode", "answer", "--top-k", "12", "--bpm", "90.5", "--bars", "2")
    assert (given_.mode, given_.top_k, given_.bpm, given_.bars) == ("answer", 12, 90.5, 2)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--bars", "0"], "bars takes 1 to 64, not '0'"),
        (["--bpm", "-5"], "bpm takes 20 to 400, not '-5'"),
        (["--mode", "jam"], "mode takes off|trade|answer|follow, not 'jam'"),
    ],
)
def test_a_flag_that_cannot_be(argv: list[str], says: str) -> None:
    with pytest.raises(CommandError) as caught:
        flags(*argv)
    assert str(caught.value) == says


def test_each_setting_has_a_flag_and_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_setting_flags(parser, ["temperature", "top_k"])
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    shown = capsys.readouterr().out
    assert "--top-k 0..500" in shown
    assert "0 is no limit. (default 0)" in " ".join(shown.split())
    assert "--bars" not in shown


@pytest.mark.parametrize(
    ("text", "joins"),
    [
        ("", False),
        ("[link]\njoin = true", True),
        ("[session]\nclock = 'link'", True),
        ("[session]\nclock = 'midi'\n[link]\njoin = true", False),  # it would not be followed
    ],
)
def test_link_is_joined_where_somebody_has_said_so(tmp_path: Path, text: str, joins: bool) -> None:
    assert config_of(tmp_path, text).joins_link is joins
