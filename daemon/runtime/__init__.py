"""Runs a session: the threads that keep time for it, its mind, and its start and stop in order.

In real time, or in virtual time as a rehearsal. Knows no MIDI driver, and none of the decisions.
"""
