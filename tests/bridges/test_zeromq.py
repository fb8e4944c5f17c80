"""ZeroMQ with real clients, well-behaved and otherwise."""

import json
import threading
import time

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridges.control import BridgeError, Reply
from bridges.zeromq import MAX_REQUEST_BYTES, ZmqBridge, request

#: Whoever answers at all has answered by then, on any machine.
PATIENCE_S = 20.0


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
        return Reply.done(name, len(args))


@pytest.fixture(scope="module")
def daemon():
    return Daemon()


@pytest.fixture(scope="module")
def bridge(daemon):
    loopback = "tcp://127.0.0.1:*"
    with ZmqBridge(handle=daemon, control_address=loopback, stream_address=loopback) as bridge:
        yield bridge


@pytest.fixture(scope="module")
def context():
    with zmq.Context() as context:
        yield context


@pytest.fixture(scope="module")
def client(bridge, context):
    """A REQ socket that takes any frames; it hears nothing for 20 s at most."""
    with context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.rcvtimeo = 20_000
        socket.connect(bridge.control_address)
        yield socket


def ask(client, *frames):
    client.send_multipart(frames)
    return json.loads(client.recv())


@pytest.fixture
def listen(bridge, context, eventually):
    """`listen("note")`: a SUB socket that is certain to be connected."""
    sockets = []

    def subscribe(topic):
        socket = context.socket(zmq.SUB)
        sockets.append(socket)
        socket.linger = 0
        socket.rcvtimeo = 20_000
        socket.subscribe(topic.encode())
        socket.subscribe(b"are you there")
        socket.connect(bridge.stream_address)

        def answered():  # a subscription takes a moment to arrive at the publisher
            bridge.publish("are you there", ())
            return socket.poll(50)

        eventually(answered, "the subscription")
        return socket

    yield subscribe
    for socket in sockets:
        socket.close()


def hear(socket):
    """The next message, without those that only asked."""
    while (frames := socket.recv_multipart())[0] == b"are you there":
        pass
    return frames[0].decode(), json.loads(frames[1])


def test_a_command_is_handed_on_and_answered(client, daemon):
    assert ask(client, b'{"command": "bars", "args": [4, 0.5, "x", true]}') == {
        "ok": True,
        "values": ["bars", 4],
    }
    assert daemon.commands[-1] == ("bars", (4, 0.5, "x", True))
    assert ask(client, b'{"command": "ping"}') == {"ok": True, "values": ["ping", 0]}


def test_a_refusal_is_an_error_and_is_counted(client, bridge):
    before = bridge.errors
    refusal = {"ok": False, "error": "there is no command nonsense"}
    assert ask(client, b'{"command": "nonsense"}') == refusal
    assert bridge.errors == before + 1


def test_a_bug_of_ours_is_answered_and_the_bridge_lives(client, caplog):
    answer = ask(client, b'{"command": "break"}')
    assert answer == {"ok": False, "error": "break failed inside Segue: see its log"}
    assert "a bug of ours" in caplog.text
    assert ask(client, b'{"command": "ping"}')["ok"]


MALFORMED = {
    "nothing": [b""],
    "prose": [b"bars 4"],
    "two frames": [b'{"command": "ping"}', b"[]"],
    "no UTF-8": [b'{"command": "\xff\xfe"}'],
    "a list": [b'["ping"]'],
    "no command": [b'{"args": [4]}'],
    "a command that is a number": [b'{"command": 4}'],
    "args that are no list": [b'{"command": "bars", "args": 4}'],
    "a word too much": [b'{"command": "bars", "arg": [4]}'],
    "a number that is none": [b'{"command": "bars", "args": [NaN]}'],
    "a number without end": [b'{"command": "bars", "args": [' + b"9" * 5000 + b"]}"],
    "a depth without end": [b"[" * 60_000],
    "too long": [b'{"command": "' + b"x" * MAX_REQUEST_BYTES + b'"}'],
}


@pytest.mark.parametrize("frames", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_answered_and_counted(client, bridge, daemon, frames):
    before, commands = bridge.errors, len(daemon.commands)
    answer = ask(client, *frames)
    assert answer["ok"] is False and answer["error"].startswith("a request ")
    assert bridge.errors == before + 1 and len(daemon.commands) == commands


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=64), min_size=1, max_size=4))
def test_any_frames_are_answered(client, frames):
    assert isinstance(ask(client, *frames)["ok"], bool)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        JSON,
        st.fixed_dictionaries({"command": JSON}, optional={"args": JSON}),
        st.fixed_dictionaries({"command": st.text(), "args": st.lists(JSON)}),
    )
)
def test_any_json_is_answered(client, body):
    assert isinstance(ask(client, json.dumps(body).encode())["ok"], bool)


def test_a_client_that_leaves_before_its_answer_harms_nobody(bridge, context, client):
    for _ in range(20):
        with context.socket(zmq.REQ) as hasty:
            hasty.linger = 100
            hasty.connect(bridge.control_address)
            hasty.send(b'{"command": "ping"}')
    assert ask(client, b'{"command": "ping"}')["ok"]


def test_the_stream_comes_in_order_with_its_topic(bridge, listen):
    notes, everything = listen("note"), listen("")
    for pitch in range(60, 64):
        bridge.publish("note", (pitch, 100, 0.25, "me", True))
        bridge.publish("beat", (pitch / 4,))
    assert [hear(notes) for _ in range(4)] == [
        ("note", [pitch, 100, 0.25, "me", True]) for pitch in range(60, 64)
    ]
    assert [hear(everything)[0] for _ in range(8)] == ["note", "beat"] * 4


def test_many_threads_may_publish(bridge, listen):
    listener = listen("thread")
    threads = [
        threading.Thread(
            target=lambda n=n: [bridge.publish(f"thread{n}", (i,)) for i in range(100)]
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    heard = [hear(listener) for _ in range(400)]
    for thread in threads:
        thread.join()
    for n in range(4):
        assert [values for topic, values in heard if topic == f"thread{n}"] == [
            [i] for i in range(100)
        ]


def test_publishing_with_no_listener_is_quick(bridge):
    began = time.monotonic()
    for beat in range(10_000):
        bridge.publish("beat", (beat,))
    assert time.monotonic() - began < 5


def test_request_is_the_client_that_send_uses(bridge):
    done = request(bridge.control_address, "bars", (4,), timeout_s=PATIENCE_S)
    assert done == Reply.done("bars", 1)
    refused = request(bridge.control_address, "nonsense", timeout_s=PATIENCE_S)
    assert refused == Reply.refused("there is no command nonsense")
    assert refused.text == "there is no command nonsense"


def test_request_says_that_nobody_answers():
    with pytest.raises(BridgeError, match=r"no Segue at .*nobody answers.*segue run"):
        request("tcp://127.0.0.1:9", "ping", timeout_s=0.1)
    with pytest.raises(BridgeError, match="no Segue at nonsense"):
        request("nonsense", "ping", timeout_s=0.1)


def test_request_knows_a_stranger(context):
    with context.socket(zmq.REP) as stranger:
        stranger.linger = 0
        port = stranger.bind_to_random_port("tcp://127.0.0.1")
        for answer in (b"hello", b"\xff", b'{"ok": true}'):
            asked = threading.Thread(target=lambda a=answer: (stranger.recv(), stranger.send(a)))
            asked.start()
            with pytest.raises(BridgeError, match="is not Segue"):
                request(f"tcp://127.0.0.1:{port}", "ping", timeout_s=PATIENCE_S)
            asked.join()


@pytest.mark.parametrize(
    "address", ["tcp://*:9101", "tcp://0.0.0.0:9101", "tcp://192.168.1.20:9101", "tcp://eth0:9101"]
)
def test_only_this_machine_may_connect(daemon, address):
    with pytest.raises(BridgeError, match=r"has no keys for others: use 127\.0\.0\.1"):
        ZmqBridge(handle=daemon, control_address=address).open()
    with pytest.raises(BridgeError, match=r"has no keys for others"):
        ZmqBridge(handle=daemon, control_address="tcp://127.0.0.1:*", stream_address=address).open()


@pytest.mark.parametrize(
    "address",
    [
        "9101",
        "ipc:///run/segue",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:x",
        "",
    ],
)
def test_an_address_that_is_none_names_the_flag(daemon, address):
    with pytest.raises(BridgeError, match=r"no address like tcp://127.*--control-port"):
        ZmqBridge(handle=daemon, control_address=address).open()


def test_an_address_in_use_names_the_fix(bridge, daemon):
    taken = ZmqBridge(handle=daemon, control_address=bridge.control_address)
    with pytest.raises(BridgeError, match=r"is in use: .*--control-port"):
        taken.open()
    taken.close()  # there is nothing to close, and that is fine
    with pytest.raises(BridgeError, match=r"is in use: .*--stream-port"):
        ZmqBridge(
            handle=daemon,
            control_address="tcp://127.0.0.1:*",
            stream_address=bridge.stream_address,
        ).open()


def test_closing_frees_the_ports_and_publishing_then_is_no_error(daemon):
    loopback = "tcp://localhost:*"
    bridge = ZmqBridge(handle=daemon, control_address=loopback, stream_address=loopback)
    with bridge:
        addresses = bridge.control_address, bridge.stream_address
        bridge.publish("beat", (1.0,))
    bridge.publish("beat", (2.0,))
    with ZmqBridge(handle=daemon, control_address=addresses[0], stream_address=addresses[1]):
        assert request(addresses[0], "ping", timeout_s=PATIENCE_S).ok
