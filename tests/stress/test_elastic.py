"""Processes that die."""

import os
import subprocess
import sys

from ..paths import ROOT


def test_a_process_that_dies_is_started_again():
    """Oracle: the uninterrupted run of two nodes, one process each. One of the
    two is killed, and both continue; ``--kills`` of the script kills more
    often."""
    done = subprocess.run([
        sys.executable, 'tests/stress/elastic.py', '--small', '--images', '60',
        '--nodes', '2', '--kills', '1'
    ],
                          cwd=ROOT,
                          capture_output=True,
                          text=True,
                          timeout=600,
                          env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert 'after 1 kills is the same, bit by bit' in done.stdout
