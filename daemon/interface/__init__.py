"""What is said to Segue and what it says: MIDI's bytes, commands, configuration, events, stream.

Values and tables, checked here. Knows no state, no music and no time, and imports no other folder.
"""
