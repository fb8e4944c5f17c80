"""OSC with real hosts: liblo's tools, Pure Data, and bytes that no host should send."""

import math
import socket
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from bridges.control import BridgeError, Reply
from bridges.osc import MAX_SUBSCRIBERS, OscBridge
from bridges.osc_packets import Malformed, Message, decode, encode

HOST_PATCH = Path(__file__).parent / "host.pd"


class Daemon:
    """Stands where the daemon will: notes each command, and does what its name says."""

    def __init__(self):
        self.commands = []

    def __call__(self, name, args):
        self.commands.append((name, args))
        if name == "nonsense":
            return Reply.refused("there is no command nonsense")
        if name == "break":
            raise RuntimeError("a bug of ours")
        return Reply.done(*args)


@pytest.fixture
def daemon():
    return Daemon()


@pytest.fixture
def bridge(daemon):
    with OscBridge(handle=daemon, port=0) as bridge:
        yield bridge


class Host:
    """A plain UDP socket that speaks to the bridge."""

    def __init__(self, bridge):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(20)
        self.port = self.socket.getsockname()[1]
        self.bridge = bridge

    def send(self, address, *values):
        self.send_bytes(encode(address, values))

    def send_bytes(self, data):
        self.socket.sendto(data, ("127.0.0.1", self.bridge.port))

    def receive(self):
        data, sender = self.socket.recvfrom(65_535)
        assert sender[1] == self.bridge.port, "everything comes from the server's own port"
        [message] = decode(data)
        return (message.address, *message.values)


@pytest.fixture
def host(bridge):
    host = Host(bridge)
    with host.socket:
        yield host


@pytest.fixture
def other_host(bridge):
    host = Host(bridge)
    with host.socket:
        yield host


def test_ping_is_answered_with_pong(host):
    host.send("/segue/ping", 7)
    assert host.receive() == ("/segue/pong", 7)


def test_a_command_is_handed_on_and_its_reply_comes_back(host, daemon):
    host.send("/segue/take/record", 4, 0.5, "blues", True)
    assert host.receive() == ("/segue/reply", "take/record", 4, 0.5, "blues", 1)
    assert daemon.commands == [("take/record", (4, 0.5, "blues", 1))]


def test_a_refused_command_is_an_error_and_is_counted(host, bridge):
    host.send("/segue/nonsense")
    assert host.receive() == ("/segue/error", "there is no command nonsense")
    assert bridge.errors == 1


def test_an_address_of_somebody_else_is_an_error(host, bridge, daemon):
    host.send("/live/tempo", 120.0)
    assert host.receive() == (
        "/segue/error",
        "unknown address /live/tempo: they begin with /segue/",
    )
    assert bridge.errors == 1 and daemon.commands == []


def test_a_bug_of_ours_is_answered_and_the_bridge_lives(host, caplog):
    host.send("/segue/break")
    assert host.receive() == ("/segue/error", "break failed inside Segue: see its log")
    assert "a bug of ours" in caplog.text
    host.send("/segue/ping")
    assert host.receive() == ("/segue/pong",)


def test_answers_are_not_answered(host, bridge, daemon):
    for answer in ("error", "reply", "pong"):
        host.send(f"/segue/{answer}", "so it would go on for ever")
    host.send("/segue/ping")
    assert host.receive() == ("/segue/pong",)
    assert bridge.errors == 0 and daemon.commands == [("ping", ())]


def test_a_bundle_acts_at_once_and_in_order(host, daemon):
    builder = OscBundleBuilder(time.time() + 3600)
    for bars in (2, 8):
        message = OscMessageBuilder("/segue/bars")
        message.add_arg(bars)
        builder.add_content(message.build())
    inner = OscBundleBuilder(IMMEDIATELY)
    inner.add_content(OscMessageBuilder("/segue/panic").build())
    builder.add_content(inner.build())
    host.send_bytes(builder.build().dgram)
    answers = [host.receive() for _ in range(3)]
    assert answers == [
        ("/segue/reply", "bars", 2),
        ("/segue/reply", "bars", 8),
        ("/segue/reply", "panic"),
    ]
    assert daemon.commands == [("bars", (2,)), ("bars", (8,)), ("panic", ())]


BROKEN = {
    "nothing": b"",
    "prose": b"hello",
    "an unknown type": b"/segue/bars\0,q\0\0",
    "no comma": b"/segue/bars\0i\0\0\0\0\0\0\4",
    "cut short": b"/segue/bars\0,i\0\0\0\0",
    "left over": b"/segue/bars\0,i\0\0\0\0\0\4abcd",
    "text that is no UTF-8": b"/segue/mode\0,s\0\0\xff\xfe\0\0",
    "a negative blob": b"/segue/mode\0,b\0\0\xff\xff\xff\xf0",
    "an open array": b"/segue/bars\0,[i\0\0\0\0\4",
    "a closed array": b"/segue/bars\0,]\0\0",
    "an empty bundle element": b"#bundle\0" + bytes(8) + bytes(4),
    "a negative bundle element": b"#bundle\0" + bytes(8) + b"\xff\xff\xff\xfc",
    "a bundle cut short": b"#bundle\0" + bytes(3),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_no_osc_is_answered_and_counted(host, bridge, daemon, data):
    host.send_bytes(data)
    address, text = host.receive()
    assert address == "/segue/error" and text.startswith("this is not OSC: ")
    assert bridge.errors == 1 and daemon.commands == []
    host.send("/segue/ping")
    assert host.receive() == ("/segue/pong",)


def test_one_broken_message_spoils_its_bundle(host, daemon):
    good, bad = encode("/segue/panic", ()), BROKEN["an unknown type"]
    parts = [struct.pack(">i", len(part)) + part for part in (good, bad)]
    host.send_bytes(b"#bundle\0" + bytes(8) + b"".join(parts))
    assert host.receive() == ("/segue/error", "this is not OSC: there is no OSC type 'q'")
    assert daemon.commands == []


def test_bundles_nested_without_end_are_refused():
    data = encode("/segue/ping", ())
    for _ in range(20):
        data = b"#bundle\0" + bytes(8) + struct.pack(">i", len(data)) + data
    with pytest.raises(Malformed, match="deep"):
        decode(data)


def test_the_stream_goes_to_all_who_subscribe_where_they_want_it(host, other_host, bridge):
    bridge.publish("state", ("nobody", "listens"))
    host.send("/segue/subscribe")
    assert host.receive() == ("/segue/reply", "subscribe", host.port)
    host.send("/segue/subscribe", float(other_host.port))  # Pure Data has floats only
    assert host.receive() == ("/segue/reply", "subscribe", other_host.port)
    bridge.publish("note/played", (60, 100, 12.25, "C"))
    for listener in (host, other_host):
        assert listener.receive() == ("/segue/note/played", 60, 100, 12.25, "C")

    host.send("/segue/unsubscribe")
    assert host.receive() == ("/segue/reply", "unsubscribe")
    bridge.publish("beat", (13.0,))
    assert other_host.receive() == ("/segue/beat", 13.0)
    host.send("/segue/ping")
    assert host.receive() == ("/segue/pong",)  # and no beat before it


def test_a_subscriber_that_died_harms_nobody(host, bridge):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        dead_port = gone.getsockname()[1]
    for port in (dead_port, host.port):
        host.send("/segue/subscribe", port)
        host.receive()
    for beat in range(50):
        bridge.publish("beat", (beat,))
    assert [host.receive()[1] for _ in range(50)] == list(range(50))
    host.send("/segue/ping")
    assert host.receive() == ("/segue/pong",)


@pytest.mark.parametrize("values", [(0,), (70_000,), ("here",), (1, 2), (math.nan,)])
def test_a_port_that_is_none_is_refused(host, values):
    host.send("/segue/subscribe", *values)
    assert host.receive()[:1] == ("/segue/error",)
    host.send("/segue/unsubscribe", *values)
    assert host.receive()[:1] == ("/segue/error",)


def test_subscribers_cannot_fill_the_memory(host):
    for port in range(1, MAX_SUBSCRIBERS + 2):
        host.send("/segue/subscribe", port)
        *_, last = [host.receive()]
    assert last == ("/segue/error", "there are 64 subscribers: unsubscribe one first")


def test_publishing_too_much_for_a_datagram_is_counted_not_raised(host, bridge):
    host.send("/segue/subscribe")
    host.receive()
    bridge.publish("state", ("x" * 100_000,))
    assert bridge.dropped == 1


def test_only_this_machine_may_connect(daemon):
    for host in ("0.0.0.0", "192.168.1.20", "example.org", "::"):
        with pytest.raises(BridgeError, match=r"use 127\.0\.0\.1, not"):
            OscBridge(handle=daemon, host=host, port=0).open()
    for host in ("localhost", "127.0.0.1"):
        with OscBridge(handle=daemon, host=host, port=0):
            pass


def test_a_port_in_use_names_the_fix(bridge, daemon):
    with pytest.raises(BridgeError, match=r"UDP port \d+ is in use: .*--osc-port"):
        OscBridge(handle=daemon, port=bridge.port).open()
    with pytest.raises(BridgeError, match="--osc-port"):
        OscBridge(handle=daemon, port=70_000).open()


def test_closing_frees_the_port_and_publishing_then_is_no_error(daemon):
    bridge = OscBridge(handle=daemon, port=0)
    with bridge:
        port = bridge.port
    bridge.publish("beat", (1.0,))
    bridge.close()
    with OscBridge(handle=daemon, port=port):
        pass


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_malformed(data):
    with suppress(Malformed):
        decode(data)


@given(st.binary(max_size=60), st.integers(0, 8), st.sampled_from(",ifsbhdtScrmTFNI[]q"))
def test_any_bytes_behind_a_good_beginning_are_messages_or_malformed(tail, wraps, tag):
    data = b"/segue/a\0\0\0\0," + tag.encode() + b"\0\0" + tail
    for _ in range(wraps):
        data = b"#bundle\0" + bytes(8) + struct.pack(">i", len(data)) + data
    with suppress(Malformed):
        decode(data)


#: Text as OSC has it: no zero, and nothing that is only half a character.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.one_of(st.integers(1 - 2**63, 2**63 - 1), st.floats(width=32, allow_nan=False), TEXTS)


@given(TEXTS, st.lists(VALUES))
def test_what_is_written_is_read_again(topic, values):
    written = encode(f"/segue/{topic}", tuple(values))
    assert decode(written) == [Message(f"/segue/{topic}", tuple(values))]
    assert len(written) % 4 == 0


@given(st.lists(st.one_of(st.text(), st.integers(), st.booleans(), st.floats())))
def test_any_value_can_be_written(values):
    [message] = decode(encode("/segue/state", tuple(values)))
    assert len(message.values) == len(values)


@pytest.fixture
def oscsend(need, bridge):
    """`oscsend("/segue/x", "is", "1", "a")`: liblo's own encoder."""
    need("oscsend")

    def send(*words):
        subprocess.run(["oscsend", "127.0.0.1", str(bridge.port), *words], check=True, timeout=20)

    return send


def test_every_type_that_liblo_sends_is_understood(oscsend, daemon, eventually):
    oscsend("/segue/all", "ihfdsSTFNI", "7", "-5000000000", "0.5", "0.1", "mode", "sym")
    oscsend("/segue/midi", "mc", "00903C64", "x")
    oscsend("/segue/none")
    eventually(lambda: len(daemon.commands) == 3, "three commands")
    assert daemon.commands == [
        ("all", (7, -5_000_000_000, 0.5, 0.1, "mode", "sym", True, False, None, math.inf)),
        ("midi", ((0, 0x90, 0x3C, 0x64), "x")),
        ("none", ()),
    ]


def test_liblo_reads_the_stream(need, host, bridge, eventually, tmp_path):
    need("oscdump")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    heard = tmp_path / "heard"
    with heard.open("wb") as log:
        dump = subprocess.Popen(["oscdump", "-L", str(port)], stdout=log)
    try:
        host.send("/segue/subscribe", port)
        host.receive()

        def dumped():
            bridge.publish("note", (60, 2**40, 0.25, "me", True))
            return heard.read_text().count("\n") >= 1

        eventually(dumped, "a line of oscdump")
        words = heard.read_text().split("\n")[0].split(maxsplit=1)[1]
        assert words == '/segue/note ihfsi 60 1099511627776 0.250000 "me" 1'
    finally:
        dump.terminate()
        dump.wait(20)


@pytest.fixture
def pure_data(pd, bridge):
    """Pure Data with our patch; gives the socket on which it reports what it saw."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reports:
        reports.bind(("127.0.0.1", 0))
        reports.settimeout(20)
        pd(HOST_PATCH, f"report {reports.getsockname()[1]}", f"segue {bridge.port}")
        yield reports


def saw(reports):
    """The next thing that Pure Data saw under /segue."""
    [message] = decode(reports.recv(65_535))
    assert message.address == "/saw"
    return message.values


def test_pure_data_commands_subscribes_and_hears(pure_data, daemon, bridge):
    first = [saw(pure_data) for _ in range(4)]
    assert first[0][:2] == ("reply", "subscribe")
    assert first[1:] == [("pong",), ("reply", "bars", 4), ("error", "there is no command nonsense")]
    assert daemon.commands == [("ping", ()), ("bars", (4,)), ("nonsense", ())]
    assert bridge.errors == 1
    for pitch in range(60, 73):
        bridge.publish("note", (pitch, 100, 0.25, "me"))
        assert saw(pure_data) == ("note", pitch, 100, 0.25, "me")
