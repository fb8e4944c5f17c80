"""A peer of an Ableton Link session: its own process, with LinkPython instead of aalink.

    python link_peer.py BPM

It takes wishes on standard input, one a line: `tempo 137`, `playing 1`, `leave`. Every ten
milliseconds it says on standard output where the music is:

    at T_NS BEAT BPM PEERS        with CLOCK_MONOTONIC's time of the beat; bars have four beats
"""

import select
import sys
import time

import link

QUANTUM = 4
EVERY_S = 0.01


def main() -> None:
    peer = link.Link(float(sys.argv[1]))
    peer.startStopSyncEnabled = True
    peer.enabled = True
    while True:
        state = peer.captureSessionState()
        before_ns = time.monotonic_ns()
        micros = peer.clock().micros()
        after_ns = time.monotonic_ns()
        beat = state.beatAtTime(micros, QUANTUM)
        t_ns = (before_ns + after_ns) // 2
        if after_ns - before_ns < 100_000:  # else it was interrupted between the two clocks
            print("at", t_ns, beat, state.tempo(), peer.numPeers(), flush=True)
        ready, _, _ = select.select([sys.stdin], [], [], EVERY_S)
        if ready and not obey(peer, sys.stdin.readline().split()):
            peer.enabled = False
            return


def obey(peer: link.Link, words: list[str]) -> bool:
    """Do as wished; False at the end."""
    state = peer.captureSessionState()
    now = peer.clock().micros()
    if words[:1] == ["tempo"]:
        state.setTempo(float(words[1]), now)
    elif words[:1] == ["playing"]:
        state.setIsPlaying(words[1] == "1", now)
    else:
        return False
    peer.commitSessionState(state)
    return True


if __name__ == "__main__":
    main()
