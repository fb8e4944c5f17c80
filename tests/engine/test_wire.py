"""What crosses the socket comes out as it went in, or is named as what is wrong with it."""

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import protocol
from engine.protocol import (
    Cancel,
    Continue,
    Controls,
    Drafted,
    Finished,
    Lost,
    Meter,
    Note,
    Ping,
    Pong,
    Prompt,
    Ready,
    Refused,
)
from engine.wire import MAX_BEAT, MAX_BYTES, WireError, decode, encode

beats = st.floats(-MAX_BEAT, MAX_BEAT)
counts = st.integers(0, 2**63 - 1)
notes = st.builds(
    Note,
    onset=beats,
    pitch=st.integers(0, 127),
    duration=st.floats(0, MAX_BEAT, exclude_min=True),
    velocity=st.integers(1, 127),
)
meters = st.lists(
    st.builds(
        Meter,
        beat=beats,
        numerator=st.integers(1, 255),
        denominator=st.sampled_from([1, 2, 4, 8, 16, 32, 64]),
    ),
    unique_by=lambda meter: meter.beat,
).map(lambda found: tuple(sorted(found, key=lambda meter: meter.beat)))
controls = st.builds(Controls, temperature=st.floats(0, 100), top_k=counts, top_p=st.floats(0, 1))
texts = st.text(max_size=50)
timings = st.lists(st.floats(0, 1e9)).map(tuple)
messages = st.one_of(
    st.builds(
        Prompt,
        put=st.lists(st.tuples(counts, notes)).map(tuple),
        dropped=st.lists(counts).map(tuple),
        meters=meters,
        reset=st.booleans(),
    ),
    st.builds(
        Continue,
        epoch=counts,
        from_beat=beats,
        until_beat=beats,
        controls=controls,
        seed=st.integers(-(2**63) + 1, 2**63 - 1),
    ),
    st.builds(Cancel, counts),
    st.builds(Ping, counts),
    st.builds(Ready, texts, counts, counts),
    st.builds(Drafted, counts, notes),
    st.builds(Finished, counts, st.booleans(), counts, counts, timings, timings),
    st.builds(Refused, texts),
    st.builds(Pong, counts),
)


@given(messages)
def test_a_message_comes_back_as_it_was_sent(message: protocol.ToMind) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else(frame: bytes) -> None:
    try:
        decode(frame)
    except WireError as error:
        assert "\n" not in str(error)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([name.__name__ for name in get_args(protocol.ToMind)]),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_a_message_or_a_wire_error(value: object) -> None:
    try:
        decode(json.dumps(value).encode())
    except WireError as error:
        assert "\n" not in str(error)


@given(messages, st.data())
def test_one_wrong_field_never_raises_anything_but_a_wire_error(
    message: protocol.ToMind, data: st.DataObject
) -> None:
    array = json.loads(encode(message))
    at = data.draw(st.integers(1, len(array) - 1))
    array[at] = data.draw(json_values)
    try:
        decode(json.dumps(array).encode())
    except WireError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (b"\xff\xfe", "not a JSON message"),
        (b"{}", "JSON array"),
        (b"[]", "JSON array"),
        (b'["Sing"]', "no message is called 'Sing'"),
        (b'["Lost", "gone"]', "no message is called 'Lost'"),
        (b'["Ping"]', "Ping takes 1 fields: number"),
        (b'["Ping", 1, 2]', "Ping takes 1 fields"),
        (b'["Ping", true]', "Ping.number is True"),
        (b'["Ping", -1]', "Ping.number is -1"),
        (b'["Ping", 1.0]', "Ping.number is 1.0"),
        (b'["Drafted", 1, [NaN, 60, 1, 80]]', "NaN is not a number"),
        (b'["Drafted", 1, [1e999, 60, 1, 80]]', "Drafted.note.onset is inf"),
        (b'["Drafted", 1, [0, 128, 1, 80]]', "Drafted.note.pitch is 128"),
        (b'["Drafted", 1, [0, 60, 0, 80]]', "Drafted.note.duration is 0"),
        (b'["Drafted", 1, [0, 60, -1, 80]]', "Drafted.note.duration is -1"),
        (b'["Drafted", 1, [0, 60, 1, 0]]', "Drafted.note.velocity is 0"),
        (b'["Drafted", 1, [0, 60, 1]]', "Drafted.note takes 4 fields"),
        (b'["Prompt", [[1]], [], [], false]', "Prompt.put[0] is [1]"),
        (b'["Prompt", [], [], [[0, 3, 5]], false]', "Prompt.meters[0].denominator is 5"),
        (b'["Prompt", [], [], [[4, 3, 4], [4, 4, 4]], false]', "Prompt.meters[1].beat"),
        (b'["Prompt", [], [], [], 1]', "Prompt.reset is 1"),
        (b'["Continue", 1, 0, 4, [-1, 0, 1], 1]', "Continue.controls.temperature is -1"),
        (b'["Refused", 5]', "Refused.reason must be a text"),
        (b"[" * 100_000, "not a JSON message"),
        (b'["Ping", ' + b"9" * 5000 + b"]", "not a JSON message"),
        (b" " * (MAX_BYTES + 1), "longer than"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(frame: bytes, told: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(frame)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_message_but_lost_crosses() -> None:
    for kind in get_args(protocol.ToMind) + get_args(protocol.FromMind):
        if kind is Lost:
            continue
        message = kind(*([0] * len(dataclasses.fields(kind))))
        assert json.loads(encode(message))[0] == kind.__name__
    with pytest.raises(TypeError):
        encode(Lost("gone"))


def test_a_note_that_is_not_a_number_is_our_own_bug() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(Drafted(1, Note(float("nan"), 60, 1.0, 80)))
