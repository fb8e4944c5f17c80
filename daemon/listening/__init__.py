"""What was played: raw messages to notes, and what they tell of how the player plays.

Pure; knows notes in beats. Knows no turns, no drafts and no clocks.
"""
