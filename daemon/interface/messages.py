"""MIDI's messages as bytes: which status byte means what. Knows no notes, no beats and no ports."""

NOTE_OFF, NOTE_ON, CONTROL_CHANGE = 0x80, 0x90, 0xB0  # and a channel in the low four bits
SUSTAIN = 64  # controller number
MAX_DATA = 127  # of a data byte

TICK, START, CONTINUE, STOP, SONG_POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2
CLOCK_STATUSES = frozenset({TICK, START, CONTINUE, STOP, SONG_POSITION})


def is_on(message: bytes) -> bool:
    """Whether a message strikes a note; a note-on without velocity releases one."""
    return len(message) == 3 and message[0] & 0xF0 == NOTE_ON and message[2] > 0
