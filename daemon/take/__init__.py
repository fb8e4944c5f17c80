"""A session on disk: its journal, and what is made of one: MIDI file, piano roll, report.

Knows paths and the files' formats. Knows nothing of ports and of how a session is run in real time.
"""
