"""Lets the tests here import the doubles that lie beside them (the tests are no packages)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
