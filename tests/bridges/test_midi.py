"""Real JACK ports, with another process as the player."""

import re
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from bridges.midi import (
    Api,
    InputPort,
    MidiUnavailable,
    OutputPort,
    available_apis,
    choose_api,
    compiled_apis,
    list_ports,
    match_port,
    why_silent,
)

PEER = Path(__file__).parent / "midi_peer.py"
PORTS = Path(__file__).parent / "midi_ports.py"
CLOCK = bytes([0xF8])


@pytest.fixture(autouse=True)
def signals_are_heard_afterwards():
    yield
    assert not {signal.SIGINT, signal.SIGTERM} & signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.fixture
def jack(jack_server) -> Api:
    return choose_api("jack")


@pytest.fixture
def heard():
    return []


@pytest.fixture
def segue(jack, heard):
    """Segue's virtual ports, output first."""
    with (
        OutputPort(api=jack) as out,
        InputPort(api=jack, receive=lambda t_ns, message: heard.append((t_ns, message))) as into,
    ):
        yield out, into


@pytest.fixture
def peer(child, segue, connect_ports):
    """Another process, wired to both of our ports."""
    out, into = segue
    player = child(PEER, "peer")
    player.await_line("ready")
    connect_ports("peer:out", into.name)
    connect_ports(out.name, "peer-in:in")
    return player


def said(player) -> list[bytes]:
    """What the other process has heard so far."""
    return [bytes.fromhex(words) for words in player.said("heard ")]


def ask(player, messages) -> None:
    """Have the other process play in one go."""
    player.say(",".join(message.hex() for message in messages))


def play_each(send, messages) -> None:
    """Play with a port of ours; each message must be taken."""
    assert all(list(map(send, messages)))


def arrive_whole(play, arrived, messages, eventually) -> None:
    """Play the messages and see them arrive, all of them and in order.

    On a busy machine JACK leaves a late client out of a cycle, and what was under way is lost. So
    there are five attempts; a fault of ours would spoil them all.
    """
    for _ in range(5):
        before = len(arrived())
        play(messages)
        with suppress(AssertionError):
            eventually(lambda n=before: len(arrived()) >= n + len(messages), timeout_s=5)
        if arrived()[before:] == messages:
            return
    assert arrived()[before:] == messages


def notes(count: int) -> list[bytes]:
    """That many note-ons, no two alike."""
    return [bytes((0x90, n // 127, 1 + n % 127)) for n in range(count)]


def test_virtual_ports_carry_our_names(segue, jack_server):
    out, into = segue
    assert (out.name, into.name) == ("Segue Out:Segue Out", "Segue In:Segue In")
    assert {out.name, into.name} <= set(jack_server.ports())


@pytest.fixture
def they_play(peer, heard, eventually):
    """`they_play(messages)`: the other process plays, and all of it comes in."""
    return lambda messages: arrive_whole(
        partial(ask, peer), lambda: [message for _, message in heard], messages, eventually
    )


@pytest.fixture
def we_play(peer, segue, eventually):
    """`we_play(messages)`: Segue plays, and all of it arrives at the other process."""
    out, _ = segue
    return lambda messages: arrive_whole(
        partial(play_each, out.send), lambda: said(peer), messages, eventually
    )


def test_what_a_player_plays_is_heard_in_order_with_its_time(they_play, heard):
    before_ns = time.monotonic_ns()
    they_play([b"\x90\x3c\x50", b"\xb0\x40\x7f", b"\xe0\x00\x40", b"\x80\x3c\x40"])
    times_ns = [t_ns for t_ns, _ in heard]
    assert before_ns < times_ns[0] and times_ns == sorted(times_ns)
    assert times_ns[-1] < time.monotonic_ns()


def test_clock_start_stop_and_song_position_survive(they_play):
    they_play([b"\xf2\x10\x00", b"\xfa", *[CLOCK] * 48, b"\xfc", b"\xfb", CLOCK])


def test_active_sensing_and_sysex_are_left_out(peer, heard, eventually):
    def played_again():
        peer.say("fe,f07e7f0601f7,903c40")
        return heard

    eventually(played_again, "a note")
    assert {message for _, message in heard} == {b"\x90\x3c\x40"}


def test_a_burst_of_1500_messages_arrives_whole_both_ways(they_play, we_play):
    they_play(notes(1500))
    we_play(notes(1500))


def test_a_burst_larger_than_the_ring_waits_for_room(we_play):
    we_play(notes(6000))


def test_a_second_segue_says_what_its_ports_are_really_called(segue, child):
    second = child(PORTS)
    assert second.await_line("open ") == "Segue Out-01:Segue Out | Segue In-01:Segue In"


def test_what_was_sent_just_before_closing_is_still_heard(jack, child, connect_ports, eventually):
    player = child(PEER, "last")
    player.await_line("ready")
    release = [bytes((0x80, pitch, 0)) for pitch in range(100)]

    def play_and_close(messages):
        with OutputPort(api=jack) as out:
            connect_ports(out.name, "last-in:in")
            play_each(out.send, messages)

    for _ in range(5):
        arrive_whole(play_and_close, lambda: said(player), release, eventually)


def test_closed_ports_are_gone_and_refuse_quietly(jack, jack_server):
    with OutputPort(api=jack) as out:
        pass
    assert "Segue Out:Segue Out" not in jack_server.ports()
    assert out.send(b"\x90\x3c\x40") is False
    assert out.failures == 1


def test_what_the_driver_rejects_is_counted_and_told_not_raised(jack):
    told = []
    with OutputPort(api=jack, lost=told.append, back=told.append) as out:
        assert out.send(b"") is False
        assert out.send(b"\x90\x3c\x40\x40\x40") is False
        assert out.failures == 2
        out.refresh()
        assert told == ["2 messages could not be sent to Segue Out:Segue Out"]
        assert out.send(b"\x90\x3c\x40") is True
        out.refresh()
        assert told[1:] == ["the MIDI output Segue Out:Segue Out is back"]


@pytest.mark.parametrize("watched", [True, False], ids=["as on JACK", "as on other systems"])
def test_a_named_port_that_comes_and_goes_is_taken_again(
    child, jack, heard, eventually, monkeypatch, watched
):
    if not watched:
        monkeypatch.setattr("bridges.midi.jack_server", lambda: None)
    told = []
    player = child(PEER, "synth")
    player.await_line("ready")
    out = OutputPort(
        api=jack,
        wanted="SYNTH-IN",
        lost=told.append,
        back=told.append,
    )
    into = InputPort(api=jack, wanted="synth:out", receive=lambda _, message: heard.append(message))
    with out, into:
        assert (out.name, into.name) == ("synth-in:in", "synth:out")
        arrive_whole(partial(play_each, out.send), lambda: said(player), notes(3), eventually)
        arrive_whole(partial(ask, player), lambda: list(heard), notes(3), eventually)
        out.refresh()
        assert told == []

        player.end()
        eventually(lambda: (out.refresh(), into.refresh(), told)[-1], "the loss")
        assert told == ["the MIDI output SYNTH-IN is gone"]
        assert out.send(b"\x90\x3d\x40") is False  # nor does it sound when the synth is back

        player = child(PEER, "synth")
        player.await_line("ready")
        eventually(lambda: (out.refresh(), into.refresh(), len(told) == 2)[-1], "its return")
        assert told[1] == "the MIDI output synth-in:in is back"
        arrive_whole(partial(play_each, out.send), lambda: said(player), notes(3), eventually)
        arrive_whole(partial(ask, player), lambda: list(heard), notes(3), eventually)
        assert b"\x90\x3d\x40" not in said(player)


def test_a_dead_server_neither_blocks_nor_spins_and_its_successor_is_used(
    mortal_jack_server, child, eventually
):
    segue = child(PORTS, env=mortal_jack_server.env)
    segue.await_line("open ")
    mortal_jack_server.kill()
    segue.say("burst 5000")  # twice what would fill RtMidi's ring and hang the process
    sent, failed, longest_ms = map(float, segue.await_line("burst ").split())
    assert sent + failed == 5000 and failed > 3000
    assert longest_ms < 5000
    eventually(lambda: segue.said("lost ") == ["the JACK server has stopped"] * 2, "both losses")

    mortal_jack_server.start()
    eventually(lambda: len(segue.said("back ")) == 2, "both ports")
    assert "the MIDI input Segue In:Segue In is back" in segue.said("back ")
    player = child(PEER, "peer", env=mortal_jack_server.env)
    player.await_line("ready")
    mortal_jack_server.connect("Segue Out:Segue Out", "peer-in:in")
    mortal_jack_server.connect("peer:out", "Segue In:Segue In")
    arrive_whole(partial(ask, player), lambda: said(segue), notes(3), eventually)
    arrive_whole(partial(ask, segue), lambda: said(player), notes(3), eventually)


def test_a_frozen_server_is_not_waited_for(mortal_jack_server, child, eventually):
    segue = child(PORTS, env=mortal_jack_server.env)
    segue.await_line("open ")
    mortal_jack_server.freeze()
    segue.say("burst 5000")
    sent, failed, longest_ms = map(float, segue.await_line("burst ").split())
    assert sent + failed == 5000 and failed > 3000
    assert longest_ms < 5000
    eventually(lambda: segue.said("lost ") == ["the JACK server has frozen"] * 2, "both losses")
    mortal_jack_server.thaw()
    eventually(lambda: len(segue.said("back ")) == 2, "both ports")


def test_leaving_a_frozen_server_takes_no_forever(mortal_jack_server, child):
    segue = child(PORTS, env=mortal_jack_server.env)
    segue.await_line("open ")
    mortal_jack_server.freeze()
    segue.await_line("lost the JACK server has frozen")
    segue.process.stdin.close()
    assert segue.process.wait(20) == 0


def test_jack_is_found_and_says_what_it_has(jack, segue):
    assert jack in available_apis()
    assert why_silent(jack) is None
    inputs, outputs = list_ports(jack)
    assert "Segue Out:Segue Out" in inputs  # others may listen to it
    assert "Segue In:Segue In" in outputs


def test_without_a_server_one_line_says_how_to_start_one(monkeypatch, capfd):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "nobody-started-this-one")
    with pytest.raises(MidiUnavailable) as caught:
        choose_api("jack")
    line = str(caught.value)
    assert "jackd -R" in line and "\n" not in line
    jack = next(api for api in compiled_apis() if api.name == "JACK")
    with pytest.raises(MidiUnavailable):
        OutputPort(api=jack).open()
    with pytest.raises(MidiUnavailable):
        list_ports(jack)
    assert capfd.readouterr() == ("", "")  # what libjack has to say, it says to us


def test_an_unknown_system_is_answered_with_those_there_are():
    with pytest.raises(MidiUnavailable, match=r"'oss'.*JACK"):
        choose_api("oss")


def test_a_missing_named_port_lists_what_is_there(segue, jack):
    with pytest.raises(MidiUnavailable, match=r"no MIDI output 'Piano'.*Segue In:Segue In"):
        OutputPort(api=jack, wanted="Piano").open()


def test_without_virtual_ports_the_line_names_a_driver_to_install():
    windows = Api("WinMM", 0, False)
    with pytest.raises(MidiUnavailable, match=r"loopMIDI.*--in and --out"):
        InputPort(api=windows, receive=lambda _, message: None).open()


NAMES = ["Keystation 49:Keystation 49 MIDI 1 20:0", "Launchpad:Launchpad MIDI 1 24:0", "Piano"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("Piano", "Piano"),
        ("piano", "Piano"),
        ("keystation", NAMES[0]),
        ("Launchpad:Launchpad MIDI 1 28:0", NAMES[1]),  # plugged in again, at another address
    ],
)
def test_a_port_is_known_by_part_of_its_name(wanted, found):
    assert match_port(wanted, NAMES, direction="input") == found


def test_an_exact_name_wins_over_longer_ones():
    assert match_port("Piano", ["Piano 2", "Piano"], direction="output") == "Piano"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("midi 1", "fits several MIDI inputs, give more of the name: Key"),
        ("organ", "there is no MIDI input 'organ'; there are: Keystation 49:"),
    ],
)
def test_a_doubtful_name_is_answered_with_the_names_there_are(wanted, says):
    with pytest.raises(MidiUnavailable, match=re.escape(says)):
        match_port(wanted, NAMES, direction="input")


def test_with_no_port_at_all_the_answer_says_so():
    with pytest.raises(MidiUnavailable, match="there are: none"):
        match_port("organ", [], direction="input")
