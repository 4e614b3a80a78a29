"""Interrupted trainings."""

import os
import subprocess
import sys

import pytest

from ..paths import ROOT


@pytest.mark.parametrize(
    'arguments', [('--signal', 'KILL', '--kills', '2'),
                  ('--signal', 'TERM', '--kills', '1', '--modes', 'epochs')])
def test_interrupted_trainings_end_as_if_they_had_not_been(arguments):
    """Oracle: the uninterrupted run; ``--kills`` of the script kills more
    often."""
    done = subprocess.run([
        sys.executable, 'tests/stress/interrupt.py', '--small', '--images',
        '120', *arguments
    ],
                          cwd=ROOT,
                          capture_output=True,
                          text=True,
                          timeout=600,
                          env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert 'is the same, bit by bit' in done.stdout
