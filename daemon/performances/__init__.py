"""The demo's player: its pieces as text, the performer that plays them, the recordings of it.

`recordings.py` and the recordings (`*.mid`) are all that an installed Segue needs. Knows no session
and no clock.
"""
