"""The log of the pools."""

import json

import pytest

from pss.errors import InputError
from pss.evaluation import plot_pools, read_pool_log


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(
        json.dumps(line) if isinstance(line, dict) else line for line in lines))
    return path


def test_a_later_run_counts(tmp_path):
    """Oracle: values by hand; the second run resumed from step 2. Resources
    with underscores, other scalars, and a last line that was cut off when the
    run was killed."""
    write(tmp_path / '1' / 'vis_data' / 'scalars.json',
          dict(loss=1.5, pool_fill=0.5, step=1), {
              'pool_best/latency_cpu_80.5': -2.,
              'step': 2
          }, {
              'pool_best/latency_cpu_80.5': -9.,
              'step': 4
          }, '{"pool_best/la')
    write(tmp_path / '2' / 'vis_data' / 'scalars.json', {
        'pool_best/latency_cpu_80.5': -1.,
        'step': 4
    }, {
        'agreement/all': 0.5,
        'step': 4
    })
    log = read_pool_log([tmp_path])
    assert log['pool_best'] == [('latency_cpu', 80.5, [2, 4], [-2., -1.])]
    assert log['agreement'] == [('all', 0., [4], [0.5])]
    plot_pools(log, tmp_path / 'new' / 'figure.pdf')
    assert (tmp_path / 'new' / 'figure.pdf').read_bytes()[:4] == b'%PDF'
    with pytest.raises(InputError, match='figure.xyz: cannot be drawn'):
        plot_pools(log, tmp_path / 'figure.xyz')


@pytest.mark.parametrize('lines, words', [
    (['{', '{}'], 'line 1: expected JSON'),
    (['[1]'], 'line 1: expected an object'),
    ([dict(loss=1., step=1)], 'expected scalars of pools'),
    ([{
        'pool_fill/flops_9': 'x',
        'step': 1
    }], "line 1: pool_fill/flops_9='x'"),
    ([{
        'pool_fill/flops_9': 1.
    }], 'step=None'),
    ([{
        'pool_fill/nine': 1.,
        'step': 1
    }], "'nine' is not a pool"),
])
def test_bad_logs(lines, words, tmp_path):
    """Oracle: line, field and value in the message."""
    with pytest.raises(InputError, match=words):
        read_pool_log([write(tmp_path / 'scalars.json', *lines)])


def test_no_log(tmp_path):
    """Oracle: the path in the message."""
    with pytest.raises(InputError, match='none.json: no such file'):
        read_pool_log([tmp_path / 'none.json'])
    with pytest.raises(InputError, match='expected a scalars.json'):
        read_pool_log([tmp_path])
