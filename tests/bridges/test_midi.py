"""Real JACK ports, with another process as the player."""

import re
import time
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


def notes(count: int) -> list[bytes]:
    """That many note-ons, no two alike."""
    return [bytes((0x90, n // 127, 1 + n % 127)) for n in range(count)]


def test_virtual_ports_carry_our_names(segue, jack_server):
    out, into = segue
    assert (out.name, into.name) == ("Segue Out:Segue Out", "Segue In:Segue In")
    assert {out.name, into.name} <= set(jack_server.ports())


def test_what_a_player_plays_is_heard_in_order_with_its_time(peer, heard, eventually):
    before_ns = time.monotonic_ns()
    phrase = [b"\x90\x3c\x50", b"\xb0\x40\x7f", b"\xe0\x00\x40", b"\x80\x3c\x40"]
    peer.say(",".join(message.hex() for message in phrase))
    eventually(lambda: len(heard) == len(phrase), "four messages")
    assert [message for _, message in heard] == phrase
    times_ns = [t_ns for t_ns, _ in heard]
    assert before_ns < times_ns[0] and times_ns == sorted(times_ns)
    assert times_ns[-1] < time.monotonic_ns()


def test_clock_start_stop_and_song_position_survive(peer, heard, eventually):
    transport = [b"\xf2\x10\x00", b"\xfa", *[CLOCK] * 48, b"\xfc", b"\xfb", CLOCK]
    peer.say(",".join(message.hex() for message in transport))
    eventually(lambda: len(heard) == len(transport), "all of the clock")
    assert [message for _, message in heard] == transport


def test_active_sensing_and_sysex_are_left_out(peer, heard, eventually):
    peer.say("fe,f07e7f0601f7,903c40")
    eventually(lambda: heard, "a note")
    assert [message for _, message in heard] == [b"\x90\x3c\x40"]


def test_a_burst_of_1500_messages_arrives_whole_both_ways(peer, segue, heard, eventually):
    burst = notes(1500)
    peer.say(",".join(message.hex() for message in burst))
    eventually(lambda: len(heard) == len(burst), "1500 messages in")
    assert [message for _, message in heard] == burst
    out, _ = segue
    assert all(out.send(message) for message in burst)
    eventually(lambda: len(peer.said("heard ")) == len(burst), "1500 messages out")
    assert peer.said("heard ") == [message.hex() for message in burst]


def test_a_burst_larger_than_the_ring_waits_for_room(peer, segue, eventually):
    burst = notes(6000)
    out, _ = segue
    assert all(out.send(message) for message in burst)
    eventually(lambda: len(peer.said("heard ")) == len(burst), "6000 messages")
    assert peer.said("heard ") == [message.hex() for message in burst]
    assert out.failures == 0


def test_a_second_segue_says_what_its_ports_are_really_called(segue, child):
    second = child(PORTS)
    assert second.await_line("open ") == "Segue Out-01:Segue Out | Segue In-01:Segue In"


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
        assert told[1:] == ["Segue Out:Segue Out"]


def test_a_named_port_that_comes_and_goes_is_taken_again(child, jack, heard, eventually):
    told = []
    player = child(PEER, "synth")
    player.await_line("ready")
    out = OutputPort(
        api=jack,
        wanted="SYNTH-IN",
        lost=lambda why: told.append(("lost", why)),
        back=lambda name: told.append(("back", name)),
    )
    into = InputPort(api=jack, wanted="synth:out", receive=lambda _, message: heard.append(message))
    with out, into:
        assert (out.name, into.name) == ("synth-in:in", "synth:out")
        out.send(b"\x90\x3c\x40")
        player.say("903c41")
        eventually(lambda: player.said("heard ") == ["903c40"], "a note at the synth")
        eventually(lambda: heard == [b"\x90\x3c\x41"], "a note from the synth")
        out.refresh()
        assert told == []

        player.end()
        eventually(lambda: (out.refresh(), into.refresh(), told)[-1], "the loss")
        assert told == [("lost", "the MIDI output SYNTH-IN is gone")]
        assert out.send(b"\x90\x3d\x40") is True  # into the void, and no harm done

        player = child(PEER, "synth")
        player.await_line("ready")
        eventually(lambda: (out.refresh(), into.refresh(), len(told) == 2)[-1], "its return")
        assert told[1] == ("back", "synth-in:in")
        out.send(b"\x90\x3e\x40")
        player.say("903e41")
        eventually(lambda: player.said("heard ") == ["903e40"], "a note at the new synth")
        eventually(lambda: heard[1:] == [b"\x90\x3e\x41"], "a note from the new synth")


def test_a_dead_server_neither_blocks_nor_spins_and_its_successor_is_used(
    mortal_jack_server, child, eventually
):
    segue = child(PORTS, env=mortal_jack_server.env)
    names = segue.await_line("open ")
    mortal_jack_server.kill()
    segue.say("burst 5000")  # twice what would fill RtMidi's ring and hang the process
    sent, failed, longest_ms = map(float, segue.await_line("burst ").split())
    assert sent + failed == 5000 and failed > 3000
    assert longest_ms < 5000
    eventually(lambda: segue.said("lost ") == ["the JACK server has stopped"] * 2, "both losses")

    mortal_jack_server.start()
    eventually(lambda: sorted(segue.said("back ")) == sorted(names.split(" | ")), "both ports")
    player = child(PEER, "peer", env=mortal_jack_server.env)
    player.await_line("ready")
    mortal_jack_server.connect("Segue Out:Segue Out", "peer-in:in")
    mortal_jack_server.connect("peer:out", "Segue In:Segue In")
    segue.say("send 903c40")
    player.say("803c40")
    assert player.await_line("heard ") == "903c40"
    assert segue.await_line("heard ") == "803c40"


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
