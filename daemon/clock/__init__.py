"""Where the beat is: beats against nanoseconds, and who leads (MIDI clock, Link, a host, Segue).

Pure: time is an argument. Knows no notes, no turns and no ports.
"""
