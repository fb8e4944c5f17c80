"""One outside world a file: MIDI ports, OSC, ZeroMQ, and the loopback."""
