"""The demo's pieces as text, the performer that plays them, and its recordings.

Only the recordings (`*.mid`) are needed by an installed Segue.
"""
