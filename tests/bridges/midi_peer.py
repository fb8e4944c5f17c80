"""Another program at the JACK server: says what it hears, and plays what it is told.

    midi_peer.py NAME [echo]     ports NAME:in and NAME:out; with echo it plays back what it hears

A line on stdin holds messages in hex, joined by commas, to be played in one go. It says `ready`,
and then `heard HEX` for each message. It knows nothing of Segue.
"""

import sys
import threading

import rtmidi

voice = threading.Lock()
name, echo = sys.argv[1], "echo" in sys.argv[2:]
out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=name)
# JACK adds a number to a name that is taken, so the second client asks for another one.
into = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=f"{name}-in")
into.ignore_types(sysex=False, timing=False, active_sense=False)


def say(line: str) -> None:
    with voice:
        print(line, flush=True)


def heard(event: tuple[list[int], float], _: object) -> None:
    if echo:
        out.send_message(event[0])
    else:
        say(f"heard {bytes(event[0]).hex()}")


into.set_callback(heard)
out.open_virtual_port("out")
into.open_virtual_port("in")
say("ready")
for line in sys.stdin:
    messages = [bytes.fromhex(part) for part in line.split(",")]
    for message in messages:
        out.send_message(message)
    say(f"played {len(messages)}")
into.cancel_callback()
into.delete()
out.delete()
