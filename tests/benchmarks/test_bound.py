"""How much priority could gain at most."""

import json

import pytest

from pss.errors import InputError
from pss.files import write_json


@pytest.fixture
def finished(script, tiny_compare, tmp_path):
    """A folder with a finished run of random sampling, and what it kept."""
    run = tiny_compare.Run('random', 1, 0, 0)
    model = script('head_start').trained(
        script('head_start').training(1, 0, tmp_path / run.name))
    space = model.search_space
    kept = [subnet.as_dict() for subnet in (space.smallest, space.largest)]
    rows = [
        dict(
            subnet=subnet,
            mflops=float(i),
            top1=50.,
            resource='flops',
            level=float(i)) for i, subnet in enumerate(kept)
    ]
    write_json(
        dict(smallest=rows[0], largest=rows[1], pools=[*rows, rows[0]]),
        tmp_path / run.name / 'results.json')
    return tmp_path, kept


def test_gain(run_script, finished):
    """Oracle: the subnets that the run kept, each once; the gain is the mean
    difference of their accuracies, and one seed has no standard error."""
    folder, kept = finished
    run_script('bound', '--seeds', 0, '--epochs', 1, '--work-dir', folder,
               '--out', folder / 'bound.json')
    found = json.loads((folder / 'bound.json').read_text())
    run, = found['runs']
    assert run['subnets'] == kept
    gains = [a - b for a, b in zip(run['alone'], run['random'])]
    assert found['gain'] == run['gain'] == pytest.approx(
        sum(gains) / 2, abs=0.02)
    assert found['standard_error'] is None


def test_without_a_run(run_script, tmp_path):
    """Oracle: the folder, and which run is missing."""
    with pytest.raises(InputError, match='random_1ep_seed3_draws3'):
        run_script('bound', '--seeds', 3, '--epochs', 1, '--work-dir', tmp_path)
