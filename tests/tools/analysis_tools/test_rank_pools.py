import json

import torch

from ..conftest import options


def test_rank_pools(call, small, checkpoint, tiny_fashion_mnist, tmp_path):
    """Oracle: the pools of the checkpoint, best score first; accuracies are
    the mean of two halves of five images each; status 2 without pools."""
    code, text = call('analysis_tools/rank_pools.py', small, checkpoint,
                      '--work-dir', tmp_path, '--out', tmp_path / 'ranks.json',
                      '--draws', 2, *options(tiny_fashion_mnist, False))
    assert code == 0, text
    ranks = json.loads((tmp_path / 'ranks.json').read_text())
    saved = torch.load(checkpoint, weights_only=True)['pss_pools']
    step = saved[1]['level'] - saved[0]['level']
    pools = {p['level']: p['subnets'] for p in saved if p['subnets']}
    assert {
        p['level']: len(p['members'])
        for p in ranks['pools']
    } == {
        level: len(subnets)
        for level, subnets in pools.items()
    }
    for pool in ranks['pools']:
        drawn = [row['subnet'] for row in pool['draws']]
        assert len(drawn) == 2
        assert not any(row['subnet'] in drawn for row in pool['members'])
        assert all(
            abs(row['mflops'] - pool['level']) <= 0.501 * step
            for row in pool['draws'])
        scores = [m['score'] for m in pool['members']]
        assert scores == sorted((s['score'] for s in pools[pool['level']]),
                                reverse=True)
        for member in pool['members']:
            assert member['held_out'] == sum(member['halves']) / 2
            assert all(half / 20 == round(half / 20)
                       for half in member['halves'])
    assert ranks['images'] == 10 and 'correlation' in text
    state = torch.load(checkpoint, weights_only=True)
    del state['pss_pools']
    torch.save(state, tmp_path / 'bare.pth')
    code, text = call('analysis_tools/rank_pools.py', small,
                      tmp_path / 'bare.pth', '--work-dir', tmp_path,
                      *options(tiny_fashion_mnist, False))
    assert code == 2 and 'no pools' in text.strip().splitlines()[-1]
