"""Damaged files."""

import os
import subprocess
import sys

from ..conftest import ROOT


def test_damaged_files_are_refused():
    """Oracle: the script's rules. Sixteen variants are every kind of damage;
    ``--num`` makes more."""
    done = subprocess.run([
        sys.executable, '-W', 'ignore', 'tests/stress/corrupt.py', '--num',
        '16', '--seed', '7'
    ],
                          cwd=ROOT,
                          capture_output=True,
                          text=True,
                          timeout=600,
                          env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.count('16 variants') == 3
    assert done.stdout.count(' 0 failed') == 3
