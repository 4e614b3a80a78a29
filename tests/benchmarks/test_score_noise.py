"""Why scores agree so little with held-out accuracy."""

import json

import numpy as np
import pytest
import torch

from pss.apis import init_model


@pytest.fixture
def trained(tiny_config, tmp_path):
    """A config, a checkpoint and the ranks of a pool of four subnets."""
    config = tmp_path / 'config.py'
    tiny_config.dump(config)
    model = init_model(tiny_config)
    checkpoint = tmp_path / 'epoch.pth'
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(epoch=1)), checkpoint)
    space = model.search_space
    subnets = space.decode(space.random(np.random.default_rng(0), 4))
    members = [
        dict(
            subnet=subnet.as_dict(),
            score=-float(i),
            held_out=80. - i,
            halves=[80. - i, 80. - i]) for i, subnet in enumerate(subnets)
    ]
    ranks = tmp_path / 'ranks.json'
    ranks.write_text(
        json.dumps(
            dict(pools=[dict(resource='flops', level=12., members=members)])))
    return config, checkpoint, ranks


def test_agreements(run_script, trained, tmp_path):
    """Oracle: scores and halves that are in the order of accuracy agree with
    it fully; all are correlations; the mean over one pool is the pool."""
    out = run_script('score_noise', *trained, '--batches', 2, '--out',
                     tmp_path / 'noise.json')
    found = json.loads((tmp_path / 'noise.json').read_text())
    pool, = found['pools']
    assert pool['trained'] == pool['held_out_halves'] == pytest.approx(1)
    for key in ('own_batch', 'own_batch_less_largest', 'same_batch',
                'all_batches'):
        assert -1 <= pool[key] <= 1
    assert pool['loss_std_batches'] > 0 and pool['loss_std_subnets'] > 0
    assert found['mean'] == pytest.approx(pool)
    assert (found['batches'], found['batch_size']) == (2, 18)
    assert 'flops 12: ' in out


def test_losses(script, supernet):
    """Oracle: cross-entropies of the subnets in training mode, by hand."""
    from torch.nn import functional

    from ..conftest import batch
    space = supernet.search_space
    subnets = [space.smallest, space.largest]
    batches = [batch(seed=i) for i in range(3)]
    found = script('score_noise').losses_of(supernet, subnets, batches)
    assert found.shape == (2, 3)
    for row, subnet in zip(found, subnets):
        for loss, data in zip(row, batches):
            supernet.switch_to(subnet)
            supernet.train()
            with torch.no_grad():
                logits = supernet(data['inputs'], mode='tensor')
            labels = torch.cat([s.gt_label for s in data['data_samples']])
            assert loss == pytest.approx(
                functional.cross_entropy(logits, labels).item(), rel=1e-5)
