"""Folders that tests read."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
# numbers of the published program; see README, "Tests"
FIXTURES = Path(
    os.environ.get('PSS_FIXTURES', ROOT.parent / 'shared' / 'fixtures'))
