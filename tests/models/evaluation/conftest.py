"""Lets the tests of this folder import what they share: `from composers import tune`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
