"""What the mind says to what it is told, without a socket."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decoder import Decoder
from engine.protocol import (
    Cancel,
    Continue,
    Controls,
    Drafted,
    Finished,
    FromMind,
    Meter,
    Note,
    Ping,
    Pong,
    Prompt,
    Ready,
    Refused,
    ToMind,
)
from engine.service import Service
from models.vocabulary import Vocabulary

READY = Ready("hash", 1, 2)
TUNE = tuple((beat, Note(float(beat), 60 + beat % 5, 1.0, 80)) for beat in range(16))
PROMPT = Prompt(TUNE, (), (Meter(0.0, 4, 4),))


def request(epoch: int, *, beats: float = 4.0) -> Continue:
    return Continue(epoch, 16.0, 16.0 + beats, Controls(), seed=5)


def rest_of(service: Service) -> Iterator[FromMind]:
    while service.busy:
        yield from service.work()


@pytest.fixture
def service(hash_backend: Any, vocabulary: Vocabulary) -> Service:
    clock = count()
    return Service(Decoder(hash_backend(), vocabulary), READY, now_s=lambda: next(clock) / 1000)


def test_a_ping_is_answered_by_its_number(service: Service) -> None:
    assert service.handle(Ping(7)) == [Pong(7)]


def test_an_answer_is_notes_and_then_what_it_cost(service: Service) -> None:
    assert service.handle(PROMPT) == []
    assert service.handle(request(1)) == []
    *drafted, finished = rest_of(service)
    assert drafted and all(isinstance(said, Drafted) and said.epoch == 1 for said in drafted)
    assert isinstance(finished, Finished)
    assert (finished.epoch, finished.cancelled) == (1, False)
    assert len(finished.note_ms) == len(drafted)
    assert len(finished.token_ms) >= 3 * len(drafted)
    assert all(ms == pytest.approx(1.0) for ms in finished.token_ms)
    assert sum(finished.note_ms) >= sum(finished.token_ms[:-1])


def test_what_was_fed_meanwhile_is_in_the_cache(service: Service) -> None:
    service.handle(PROMPT)
    assert list(rest_of(service)) == []
    service.handle(request(1))
    *_, finished = rest_of(service)
    assert isinstance(finished, Finished)
    # Not there yet: Bar, TimeSig and Position of the answer's first beat.
    assert finished.prompt_tokens - finished.cached_tokens == 3


def test_a_newer_request_supersedes(service: Service) -> None:
    service.handle(PROMPT)
    service.handle(request(1, beats=400.0))
    for _ in range(10):
        service.work()
    (superseded,) = service.handle(request(2))
    assert isinstance(superseded, Finished)
    assert (superseded.epoch, superseded.cancelled) == (1, True)
    said = list(rest_of(service))
    assert {message.epoch for message in said if isinstance(message, Drafted | Finished)} == {2}


def test_the_answer_is_cancelled_once(service: Service) -> None:
    service.handle(PROMPT)
    service.handle(request(3))
    service.work()
    assert service.handle(Cancel(2)) == []
    (cancelled,) = service.handle(Cancel(3))
    assert isinstance(cancelled, Finished) and cancelled.cancelled
    assert service.handle(Cancel(3)) == []
    assert list(rest_of(service)) == []


def test_a_new_player_finds_a_mind_that_heard_nothing(service: Service) -> None:
    service.handle(PROMPT)
    service.handle(request(1))
    assert service.greet() == [READY]
    assert not service.busy
    service.handle(request(1))
    *_, finished = rest_of(service)
    assert isinstance(finished, Finished)
    assert finished.prompt_tokens == 4  # BOS Bar TimeSig Position


def test_warming_up_leaves_nothing(service: Service) -> None:
    service.warm_up()
    service.handle(request(1))
    *_, finished = rest_of(service)
    assert isinstance(finished, Finished)
    assert finished.prompt_tokens == 4


def test_what_only_a_mind_says_is_refused(service: Service) -> None:
    (refused,) = service.handle(READY)
    assert isinstance(refused, Refused)


messages = st.one_of(
    st.just(PROMPT),
    st.builds(Ping, st.integers(0, 9)),
    st.builds(request, st.integers(0, 5), beats=st.floats(-4, 12)),
    st.builds(Cancel, st.integers(0, 5)),
    st.integers(1, 30),  # so many pieces of work
)


@settings(deadline=None)
@given(told=st.lists(messages, max_size=20))
def test_each_request_is_followed_by_one_finished(
    hash_backend: Any, vocabulary: Vocabulary, told: list[ToMind | int]
) -> None:
    service = Service(Decoder(hash_backend(), vocabulary), READY)
    said: list[FromMind] = []
    for message in told:
        if isinstance(message, int):
            for _ in range(message):
                said += service.work()
        else:
            said += service.handle(message)
    said += rest_of(service)
    requests = [message.epoch for message in told if isinstance(message, Continue)]
    assert [message.epoch for message in said if isinstance(message, Finished)] == requests
