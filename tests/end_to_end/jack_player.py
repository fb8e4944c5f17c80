"""A musician at a JACK server, in a process of his own: plays on the frame, says what he hears.

    jack_player.py NAME          ports NAME:out and NAME:in

Lines on stdin are JSON: `{"play": [[SECONDS, "903c50"], ...]}` plays messages at so many seconds
after an origin that lies a little ahead, `{"now": ["903c50", ...]}` plays them in the next period,
and `{"where": []}` asks where JACK's transport is. He says `rate R period P`, and then

    played|heard|at FRAME T_NS BEAT HEX

T_NS is the monotonic clock at the beginning of the message's period, and its place in there added:
a frame is worth more, but where a machine is busy the dummy driver loses periods, and frames stand
still while Segue's clock goes on. BEAT is that of JACK's transport, or `-` while it stands still.
`clock FRAME T_NS` says how far JACK has come: of a few periods, of that in which he was least late.
He knows nothing of Segue.
"""

import contextlib
import json
import os
import queue
import sys
import threading
import time
from heapq import heappop, heappush

import jack

#: So far ahead is the origin of what is played, in seconds: longer than a busy machine hesitates.
LEAD_S = 0.2
#: Below JACK's own. His threads share Python's lock: were one of them to wait for another program
#: while it holds the lock, the period would be lost.
FIFO_PRIORITY = 50

with contextlib.suppress(OSError):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
client = jack.Client(sys.argv[1], no_start_server=True)
out = client.midi_outports.register("out")
into = client.midi_inports.register("in")
rate = client.samplerate
sayings: queue.SimpleQueue[tuple[str, int, int, str, bytes] | None] = queue.SimpleQueue()
coming: queue.SimpleQueue[tuple[int, int, bytes]] = queue.SimpleQueue()
due: list[tuple[int, int, bytes]] = []  # frame, order, message; only the callback touches it
few: list[tuple[int, int, int]] = []  # (how far behind in ns, frame, t_ns) of the last periods; too
FEW = 8


@client.set_process_callback
def process(frames: int) -> None:
    """One period: what came is stamped and queued, what is due is written."""
    now_ns, start = time.monotonic_ns(), client.last_frame_time
    few.append((now_ns - start * 1_000_000_000 // rate, start, now_ns))
    if len(few) == FEW:
        _, frame, t_ns = min(few)
        sayings.put(("clock", frame, t_ns, "-", b""))
        few.clear()
    for offset, message in into.incoming_midi_events():
        say("heard", start, now_ns, offset, bytes(message))
    while not coming.empty():
        heappush(due, coming.get())
    out.clear_buffer()
    while due and due[0][0] < start + frames:
        frame, _, message = heappop(due)
        offset = max(frame - start, 0)
        out.write_midi_event(offset, message)
        say("played", start, now_ns, offset, message)


def say(verb: str, start: int, now_ns: int, offset: int, message: bytes) -> None:
    """Queue a line: the callback must not wait for a pipe."""
    t_ns = now_ns + offset * 1_000_000_000 // rate
    sayings.put((verb, start + offset, t_ns, transport_beat(offset), message))


def transport_beat(offset: int) -> str:
    """Where JACK's transport is, in beats from its beginning."""
    state, at = client.transport_query()
    if state != jack.ROLLING or "bar" not in at:
        return "-"
    bars, beats = at["bar"] - 1, at["beat"] - 1 + at["tick"] / at["ticks_per_beat"]
    moved = offset / rate * at["beats_per_minute"] / 60
    return f"{bars * at['beats_per_bar'] + beats + moved:.6f}"


def say_all() -> None:
    """Say what the callback has queued."""
    while (saying := sayings.get()) is not None:
        verb, frame, t_ns, beat, message = saying
        print(f"{verb} {frame} {t_ns} {beat} {message.hex()}", flush=True)


talker = threading.Thread(target=say_all)
talker.start()
with client:
    print(f"rate {rate} period {client.blocksize}", flush=True)
    number = 0
    for line in sys.stdin:
        wish = json.loads(line)
        # Not frame_time, an estimate that is far out for a while when the server has stood still.
        origin = client.last_frame_time + round(LEAD_S * rate) if "play" in wish else 0
        if "where" in wish:
            say("at", client.last_frame_time, time.monotonic_ns(), 0, b"")
        for seconds, message in wish.get("play") or [(0, m) for m in wish.get("now", ())]:
            number += 1
            frame = origin + round(seconds * rate)
            coming.put((frame, number, bytes.fromhex(message)))
sayings.put(None)
talker.join()
