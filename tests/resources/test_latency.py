import json
import logging

import numpy as np
import pytest
from mmengine.logging import MMLogger

from pss.errors import InputError
from pss.resources import Latency, LatencyTable, Timing, reachable_blocks
from pss.sampling import ConditionalSampler
from pss.structures import Budget

HEADER = dict(
    version=1,
    unit='microseconds',
    network=dict(type='SlimmableMobileNetV2'),
    device='cpu',
    batch_size=1,
    scale=1.)


def made_up(model, **header):
    """A table of random times."""
    rng = np.random.default_rng(0)
    return LatencyTable(
        dict(HEADER, **header), {
            key: Timing(float(rng.uniform(10, 90)), 1., 7)
            for key in reachable_blocks(model)
        })


@pytest.fixture
def path(supernet, tmp_path):
    """A table's file."""
    made_up(supernet).write(tmp_path / 'table.json')
    return tmp_path / 'table.json'


def test_sums_of_blocks(supernet):
    """Oracle: a hand-written loop: run the subnet, look up block after block,
    add up, times the scale."""
    table = made_up(supernet, scale=1.5)
    cost = table.cost_table(supernet, 'table')
    space = supernet.search_space
    codes = space.random(np.random.default_rng(1), 20)
    for subnet, found in zip(space.decode(codes), cost(codes)):
        stem, *widths = subnet.widths
        size = (subnet.resolution + 1) // 2
        row = {tuple(key): t.latency for key, t in table.timings.items()}
        total = row['Conv2d', subnet.resolution, 3, None, stem, 3, 2, None]
        cin = stem
        for ratio, num, stride, cout in zip(
            (1, 6, 6, 6, 6, 6, 6), (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1),
                widths):
            for i in range(num):
                total += row['MBV2Block', size, cin, cin * ratio, cout, None,
                             stride if i == 0 else 1, 'identity' if i else None]
                if i == 0:
                    size = -(-size // stride)
                cin = cout
        total += row['Conv2d', size, cin, None, 1280, 1, 1, None]
        total += row['Linear', 1, 1280, None, 10, None, None, None]
        assert found == pytest.approx(1.5 * total, rel=1e-12)


def test_file(supernet, path):
    """Oracle: json: every block has the documented fields; reading gives what
    was written."""
    content = json.loads(path.read_text())
    assert content['unit'] == 'microseconds'
    assert set(content['blocks'][0]) == {
        'block_type', 'in_size', 'cin', 'cmid', 'cout', 'kernel_size', 'stride',
        'shortcut', 'latency', 'spread', 'runs'
    }
    assert len(content['blocks']) == len(reachable_blocks(supernet))
    again = LatencyTable.read(path)
    assert again.timings == made_up(supernet).timings
    assert again.header == HEADER


def test_levels_have_the_conditional_distribution(supernet):
    """Oracle: chi-square against the enumerated prior, restricted to the
    level, over groups sorted by latency."""
    cost = made_up(supernet).cost_table(supernet, 'table')
    space = cost.space
    codes = space.enumerate()
    values = cost(codes)
    for share in (0.001, 0.3, 0.99):
        middle = float(np.quantile(values, share))
        budget = Budget('latency', middle, 40.)
        inside = (values >= budget.low) & (values < budget.high)
        order = np.argsort(values[inside], kind='stable')
        members = codes[inside][order]
        prior = np.prod([p[c] for p, c in zip(space.priors, members.T)], axis=0)
        drawn = ConditionalSampler(cost,
                                   [budget]).draw(budget,
                                                  np.random.default_rng(0),
                                                  50_000)
        keys = np.ravel_multi_index(tuple(members.T), space.shape)
        place = dict(zip(keys.tolist(), range(len(keys))))
        counts = np.bincount([
            place[k]
            for k in np.ravel_multi_index(tuple(drawn.T), space.shape).tolist()
        ],
                             minlength=len(keys))
        groups = (prior.cumsum() / prior.sum() * 300).astype(int)
        expected = np.bincount(groups, prior) / prior.sum() * len(drawn)
        observed = np.bincount(groups, counts)
        some = expected > 5
        statistic = ((observed - expected)**2)[some] / expected[some]
        degrees = some.sum() - 1
        assert statistic.sum() < degrees + 4 * np.sqrt(2 * degrees)


def test_missing_block_is_named(supernet):
    """Oracle: the block that was taken out."""
    table = made_up(supernet)
    gone = list(table.timings)[40]
    del table.timings[gone]
    with pytest.raises(InputError) as error:
        table.cost_table(supernet, 'my_table.json')
    assert f'my_table.json: block {gone} is missing;' in str(error.value)


@pytest.mark.parametrize('expected, words', [
    (dict(device='cuda'), "device='cpu': expected 'cuda'"),
    (dict(batch_size=8), 'batch_size=1: expected 8'),
])
def test_other_conditions(supernet, path, expected, words):
    """Oracle: the value in the table and the expected one, in the message."""
    Latency(str(path), device='cpu', batch_size=1).table(supernet)
    with pytest.raises(InputError, match=words):
        Latency(str(path), **expected).table(supernet)


def test_conditions_that_a_table_leaves_out(supernet, path):
    """Oracle: a warning in MMEngine's log that names the field (published
    tables leave out most)."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    try:
        Latency(str(path), backend='torch').table(supernet)
    finally:
        logger.removeHandler(handler)
    assert [r.levelno for r in records] == [logging.WARNING]
    assert 'does not say its backend' in records[0].getMessage()


def test_other_networks(supernet, tmp_path):
    """Oracle: both networks in the message."""
    for network in (dict(type='SlimmableResNet'),
                    dict(type='SlimmableMobileNetV2', layers=['ReLU'])):
        table = made_up(supernet, network=network)
        with pytest.raises(InputError, match='network='):
            table.cost_table(supernet, 'table')


def change(**fields):
    return lambda content: content['blocks'][3].update(fields)


@pytest.mark.parametrize('damage, words', [
    (change(latency=-1.), r'blocks\[3\]: latency=-1.0'),
    (change(latency=0), r'blocks\[3\]: latency=0'),
    (change(latency=float('nan')), 'latency=nan'),
    (change(latency=10**400), 'an integer of 401 digits'),
    (change(latency='7'), "latency='7'"),
    (change(latency=None), 'latency=None'),
    (lambda c: c['blocks'][3].pop('latency'), "'latency' is missing"),
    (lambda c: c['blocks'][3].pop('cin'), "'cin' is missing"),
    (change(cin=0), 'cin=0'),
    (change(cin=24.), 'cin=24.0'),
    (change(cout=True), 'cout=True'),
    (change(spread=-2.), 'spread=-2.0'),
    (change(block_type=3), 'block_type=3'),
    (lambda c: c['blocks'].append(c['blocks'][0]), 'appears twice'),
    (lambda c: c.update(blocks=[]), r'blocks=\[\]: expected a list'),
    (lambda c: c.update(blocks=[7]), '7: expected an object'),
    (lambda c: c.update(version=2), 'version=2'),
    (lambda c: c.update(unit='ms'), "unit='ms'"),
    (lambda c: c.update(scale=0), 'scale=0'),
    (lambda c: c.update(network='mbv2'), "network='mbv2'"),
    (lambda c: c.pop('blocks'), 'not a latency table'),
])
def test_bad_tables(supernet, path, damage, words):
    """Oracle: file and field are in the message."""
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=words) as error:
        Latency(str(path)).table(supernet)
    assert str(path) in str(error.value)


def test_truncated_and_missing_files(supernet, path):
    """Oracle: an InputError that names the file, wherever it is cut off."""
    text = path.read_text()
    for end in (0, 1, 40, len(text) // 2, len(text) - 4):
        path.write_text(text[:end])
        with pytest.raises(InputError, match='not a JSON file'):
            Latency(str(path)).table(supernet)
    path.unlink()
    with pytest.raises(InputError, match='build_latency_table'):
        Latency(str(path)).table(supernet)
