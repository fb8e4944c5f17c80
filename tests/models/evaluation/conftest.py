"""Lets the tests of this folder import what they share: `from composers import tune`."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# Two busy cores decide how long an example takes; a law says nothing about that.
settings.register_profile("segue", deadline=None)
settings.load_profile("segue")
