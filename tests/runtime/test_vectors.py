"""Test vectors that the Python and JavaScript runtimes share."""

import json
import shutil
import subprocess

import PIL
import pytest

from ..paths import ROOT
from .make_vectors import FOLDER, text, vectors


@pytest.fixture(scope='module')
def current():
    """The vectors that the Python runtime gives now."""
    return vectors()


@pytest.mark.parametrize(
    'name', ['selection', 'follower', 'preprocessing', 'device_banks'])
def test_python(current, name):
    """Oracle: the files, which the JavaScript runtime is tested against; if a
    change is meant, ``python -m tests.runtime.make_vectors`` writes them."""
    written = json.loads((FOLDER / f'{name}.json').read_text(encoding='utf-8'))
    found = json.loads(text(current[name]))
    if name == 'preprocessing' and int(PIL.__version__.split('.')[0]) < 13:
        # older ones resize with less precise weights
        for case in found['cases'] + written['cases']:
            if any(s.get('backend') == 'pillow' for s in case['steps']):
                case.pop('pixels', None)
    assert found == written


def test_javascript():
    """Oracle: the same files, in ``web/test``."""
    node = shutil.which('node')
    if node is None:
        pytest.skip('node is not on the PATH')
    done = subprocess.run([
        node, '--test', '--test-reporter=tap',
        *sorted(map(str, (ROOT / 'web/test').glob('*.mjs')))
    ],
                          capture_output=True,
                          text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert '# fail 0' in done.stdout and '# pass 0' not in done.stdout
