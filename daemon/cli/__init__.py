"""The command line: a file for each word of `segue`, and what they print.

Knows how the parts are put together for each purpose. Nothing below imports it.
"""
