"""Bad inputs."""

import os
import subprocess
import sys

from ..conftest import ROOT


def test_bad_inputs_are_refused():
    """Oracle: the script's rules. Fifty inputs are some of every target;
    ``--num`` makes more."""
    done = subprocess.run([
        sys.executable, '-W', 'ignore', 'tests/stress/fuzz.py', '--num', '50',
        '--seed', '7', '--limit', '30'
    ],
                          cwd=ROOT,
                          capture_output=True,
                          text=True,
                          timeout=600,
                          env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    assert 'checkpoints' in done.stdout
