"""Runs the notebook: ``make test-docs``."""

import os

import pytest

from ..paths import ROOT

pytestmark = pytest.mark.docs

NOTEBOOK = ROOT / 'demo' / 'tutorial.ipynb'
SECONDS = 3000  # for one cell; the whole takes minutes on a free CPU


def test_notebook(tmp_path, monkeypatch):
    """Oracle: no cell raises, and the table of the search and the switched
    subnets' accuracies are printed; an untrained network gets 10 %."""
    nbformat = pytest.importorskip('nbformat')
    nbclient = pytest.importorskip('nbclient')
    for name in ('configs', 'tools', 'pss', 'runtime', 'data'):
        os.symlink(ROOT / name, tmp_path / name)
    # the kernel imports this checkout, whichever is installed
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name='python3',
        resources=dict(metadata=dict(path=str(tmp_path)))).execute()
    said = ''.join(
        output.get('text', '') for cell in notebook.cells
        for output in cell.get('outputs', ()))
    assert 'held-out top-1' in said
    accuracy = [
        float(line.split()[1].rstrip('%')) for line in said.splitlines()
        if line.endswith('of 500 test images')
    ]
    assert len(accuracy) == 2 and min(accuracy) > 20, said


def test_notebook_has_no_outputs():
    """Oracle: the file in git, whose outputs are stripped."""
    nbformat = pytest.importorskip('nbformat')
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not any(
        cell.get('outputs') or cell.get('execution_count') for cell in cells)
