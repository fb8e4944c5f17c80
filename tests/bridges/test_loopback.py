"""The embedded ports: what is played is heard, what is sent is recorded, all with its time."""

import itertools
import threading
import time

from bridges.loopback import Loopback


def test_what_the_player_plays_reaches_the_daemon_with_the_time():
    heard = []
    clock = itertools.count(1000, 10)
    wire = Loopback(receive=lambda *event: heard.append(event), clock_ns=lambda: next(clock))
    with wire:
        wire.play(b"\x90\x3c\x40")
        wire.play(b"\x80\x3c\x40")
    assert heard == [(1000, b"\x90\x3c\x40"), (1010, b"\x80\x3c\x40")]
    assert wire.sent == ()


def test_what_the_daemon_sends_is_recorded_and_reaches_each_listener():
    first, second = [], []
    wire = Loopback(receive=lambda t_ns, message: None, clock_ns=lambda: 7)
    with wire:
        wire.listen(lambda *event: first.append(event))
        assert wire.send(b"\x90\x3c\x40") is True
        wire.listen(lambda *event: second.append(event))
        wire.send(b"\x80\x3c\x40")
        wire.refresh()
    assert wire.sent == tuple(first) == ((7, b"\x90\x3c\x40"), (7, b"\x80\x3c\x40"))
    assert second == [(7, b"\x80\x3c\x40")]


def test_opening_begins_a_new_record():
    wire = Loopback(receive=lambda t_ns, message: None)
    for _ in range(2):
        with wire:
            wire.send(b"\xf8")
    assert len(wire.sent) == 1


def test_a_player_may_answer_while_being_played_to():
    answers = []
    wire = Loopback(receive=lambda _, message: answers.append(message))
    wire.listen(lambda _, message: wire.play(message))
    with wire:
        wire.send(b"\x90\x3c\x40")
    assert answers == [b"\x90\x3c\x40"]


def test_without_a_clock_of_its_own_it_has_the_monotonic_one():
    heard = []
    before_ns = time.monotonic_ns()
    Loopback(receive=lambda t_ns, _: heard.append(t_ns)).play(b"\xf8")
    assert before_ns <= heard[0] <= time.monotonic_ns()


def test_many_threads_may_send():
    wire = Loopback(receive=lambda t_ns, message: None)
    with wire:
        threads = [
            threading.Thread(target=lambda n=n: [wire.send(bytes([n])) for _ in range(500)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(message for _, message in wire.sent) == sorted(
        bytes([n]) for n in range(4) for _ in range(500)
    )
