"""How many subnets a second are placed and drawn."""

import re

import numpy as np
import pytest

from pss.apis import init_model
from pss.resources import LatencyTable, Timing, reachable_blocks

CONFIG = 'configs/pss_mbv2_fashion_mnist.py'


def test_figures(run_script):
    """Oracle: the number of levels in the config; rates above zero."""
    out = run_script('sampling', CONFIG, '--num', 20, '--placed', 500,
                     '--learnt', 50)
    line, _ = [line for line in out.splitlines() if line.startswith(CONFIG)]
    assert '11 levels set up' in line
    level, rate = re.search(r'slowest level (\S+) with (\S+) draws',
                            line).groups()
    assert float(level) in np.arange(9.5, 20)
    assert float(rate.replace(',', '')) > 0
    line, = [line for line in out.splitlines() if 'additive score' in line]
    assert all(float(x) > 0 for x in re.findall(r'in ([0-9.]+) ms', line))


@pytest.fixture
def table(tmp_path):
    """A latency table with times in proportion to the work."""
    header = dict(
        version=1,
        unit='microseconds',
        scale=1.,
        device='cpu',
        network=dict(type='SlimmableMobileNetV2'),
        batch_size=1)
    timings = {
        key: Timing(5. + key.in_size**2 * key.cin * key.cout / 1e4)
        for key in reachable_blocks(init_model(CONFIG))
    }
    LatencyTable(header, timings).write(tmp_path / 'table.json')
    return tmp_path / 'table.json'


def test_latency_table(run_script, table):
    """Oracle: 20 levels of the table, after those of the config."""
    out = run_script('sampling', CONFIG, '--num', 5, '--placed', 500,
                     '--learnt', 50, '--latency-table', table)
    assert f'{table}: ' in out and '20 levels set up' in out
