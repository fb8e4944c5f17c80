"""The heart: whose bar it is, what is asked of the mind, and what of its drafts is played when.

Pure: the same inbox and the same seed give the same effects. Knows no ports, threads or models.
"""
