"""Numbers that a nested network is made of, for those that play one without torch, too.

Knows how many of what there are; knows no arrays and no networks.
"""

from models.nested.events import FORCES, KEYS, LENGTHS, ONSETS, POSITIONS
from models.nested.lookback import LOOKS

MAX_DELTA = 144  # steps between two rows that are told apart
SHORTEST_PERIOD = 6.0  # steps, of the heads that turn with time
LONGEST_PERIOD = 12_288.0
DISTANCES = 2 * POSITIONS  # steps from a row to the next note, which lies at most a bar on

#: The stages of the chain, what may be said at each, and how many numbers it reads off: a score for
#: each choice, a gate for each look, and with the onset a score for each distance.
ONSET_STAGE, KEY_STAGE, LENGTH_STAGE, FORCE_STAGE = range(4)
CHOICES = (ONSETS, KEYS, LENGTHS, FORCES)
READ_OFF = (ONSETS + LOOKS + DISTANCES, KEYS + LOOKS, LENGTHS + LOOKS, FORCES + LOOKS)
