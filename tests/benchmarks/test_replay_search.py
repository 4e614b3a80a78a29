"""Replaying searches on records, and recording them."""

import json

import numpy as np
import pytest

from pss.errors import InputError

from ..paths import ROOT

RECORD = ROOT / 'benchmarks' / 'results' / 'hits_mbv1.npz'


@pytest.fixture
def replay(script):
    """The script's module."""
    return script('replay_search')


def test_record(replay):
    """Oracle: the largest subnet is the most accurate of both ends, levels are
    apart, and what is measured on 5,000 images agrees with the truth."""
    record = replay.read_record(RECORD)
    assert len(record.subnets) == 242 and len(set(record.subnets)) == 242
    assert record.subnets[:2] == [record.space.largest, record.space.smallest]
    assert record.truth[0] > record.truth[1]
    assert record.looks.shape == record.finals.shape == (242, 5000)
    assert [len(rows) for rows in record.levels.values()] == [60] * 4
    for rows in record.levels.values():
        assert np.isnan(record.score[rows]).sum() == 30
    found = 100 * record.finals.mean(1)
    assert np.corrcoef(found, record.truth)[0, 1] > 0.98
    with pytest.raises(InputError, match='no such file'):
        replay.read_record(RECORD.with_name('none.npz'))


def test_costs_are_counted(replay):
    """Oracle: images counted by hand: a subnet is calibrated once for looks and
    once for good, and measured on images that it has not seen."""
    record = replay.read_record(RECORD)
    run = replay.Replay(record, np.random.default_rng(0), 1000)
    one, two = record.subnets[5:7]
    first = run.hits([one, two], 100, False)
    assert run.spent == 2 * (512 + 100)
    again = run.hits([one], 300, False)
    assert run.spent == 2 * (512 + 100) + 200
    assert (again[0, :100] == first[0]).all()
    run.hits([one], 1000, True)
    assert run.spent == 2 * (512 + 100) + 200 + 2048 + 1000


def test_replay(run_script, replay, tmp_path):
    """Oracle: no method keeps more than the best possible; the search is ahead
    of direct choice and evolution by what the committed figures say, within
    three standard errors."""
    out = tmp_path / 'a.json'
    text = run_script('replay_search', RECORD, '--repetitions', 6, '--out', out)
    rows = {row['method']: row for row in json.loads(out.read_text())['rows']}
    assert set(rows) == {'search', 'best possible', *replay.OTHERS}
    assert all(row['gain'] <= rows['best possible']['gain']
               for row in rows.values())
    committed = json.loads(
        (RECORD.parent / 'replay_search.json').read_text())['rows']
    for row in committed:
        if row['record'] == 'hits_mbv1':
            mine = rows[row['method']]
            assert mine['search_ahead'] == pytest.approx(
                row['search_ahead'], abs=3 * mine['standard_error'] + 1e-9)
    assert 'images a level' in text


def test_recording(run_script, replay, tmp_path, tiny_fashion_mnist):
    """Oracle: a record of a freshly trained tiny supernet, read again."""
    from pss.apis import load_config

    from ..training import shrink, train
    config = load_config(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py')
    shrink(config, tiny_fashion_mnist, tmp_path / 'work')
    config.test_cfg.search = None
    for loader in (config.train_dataloader,
                   config.test_cfg.calibration_dataloader,
                   config.test_cfg.selection_dataloader):
        loader.dataset.every = 2
    train(config, train_cfg=dict(max_epochs=1))
    config.dump(tmp_path / 'config.py')
    run_script('record_hits', tmp_path / 'config.py',
               tmp_path / 'work' / 'epoch_1.pth', '--out', tmp_path / 'a.npz',
               '--levels', 2, '--subnets', 4, '--search-images', 20,
               '--truth-images', 30, '--work-dir', tmp_path / 'record')
    record = replay.read_record(tmp_path / 'a.npz')
    assert len(record.subnets) == 2 + 2 * 4
    assert record.looks.shape == (10, 20) and record.truth.shape == (10, )
    assert ((record.truth >= 0) & (record.truth <= 100)).all()
