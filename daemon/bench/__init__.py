"""`segue bench`: how well in time the daemon is, how fast its mind, how sound a session.

Knows the daemon from outside, as a musician who plays with it does; changes nothing in it.
"""
