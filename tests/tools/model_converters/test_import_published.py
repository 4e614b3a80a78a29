"""Turning published checkpoints into ours."""

import json
import runpy

import pytest
import torch

from pss.apis import init_model, load_config
from pss.structures import Subnet

from ...paths import FIXTURES, ROOT
from ..conftest import options

CONFIGS = {
    'mobilenet_v1': ROOT / 'configs' / 'pss_mbv1_imagenet.py',
    'mobilenet_v2': ROOT / 'configs' / 'pss_mbv2_imagenet.py'
}


@pytest.fixture(scope='module')
def reference():
    """The module that makes checkpoints in the published layout."""
    path = FIXTURES / 'make_reference_checkpoint.py'
    if not path.is_file():
        pytest.skip(f'{path} is not there; PSS_FIXTURES names its folder')
    return runpy.run_path(str(path))


@pytest.fixture(scope='module', params=['mobilenet_v1', 'mobilenet_v2'])
def published(request, reference, tmp_path_factory):
    """An architecture and a checkpoint of it in the published layout."""
    path = tmp_path_factory.mktemp('published') / 'source.pt'
    reference['main'](request.param, path)
    return request.param, path


def convert(call, arch, source, out):
    return call('model_converters/import_published.py', source, '--arch', arch,
                '--out', out)


def test_logits_equal_the_published_ones(call, published, reference, tmp_path):
    """Oracle: logits that the published network computes, with running and
    with batch statistics; scores and subnets of the pools."""
    arch, source = published
    code, out = convert(call, arch, source, tmp_path / 'ours.pth')
    assert code == 0, out
    config = load_config(CONFIGS[arch])
    config.model.channels_last = False  # as the published program's images lie
    model = init_model(config, tmp_path / 'ours.pth')
    x = reference['reference_input']()
    rows = json.loads((FIXTURES / 'subnet_logits.json').read_text())[arch]
    for row in rows:
        model.switch_to(Subnet(row['resolution'], tuple(row['widths'])))
        for mode, key in ((False, 'eval_logits'), (True, 'train_logits')):
            for norm in model.norms.values():
                norm.train(mode)
                norm.track_running_stats = False
            with torch.no_grad():
                logits = model(x, mode='tensor')[:, :16]
            torch.testing.assert_close(
                logits, torch.tensor(row[key]), atol=1e-4, rtol=0)

    checkpoint = torch.load(tmp_path / 'ours.pth', weights_only=True)
    pools = {p['level']: p['subnets'] for p in checkpoint['pss_pools']}
    costs = json.loads((FIXTURES / 'subnet_costs.json').read_text())[arch]
    found = 0
    for i, row in enumerate(costs):
        level = round(row['mflops'] / 10) * 10
        if level in pools:
            entry = dict(
                resolution=row['resolution'],
                widths=row['widths'],
                score=pytest.approx(-2 - i / 100))
            assert entry in pools[level]
            found += 1
    assert found == sum(map(len, pools.values())) > 50


def test_the_best_of_published_pools_are_tested(call, published, tiny_imagenet,
                                                tmp_path):
    """Oracle: the best score of each pool of the published checkpoint."""
    arch, source = published
    convert(call, arch, source, tmp_path / 'ours.pth')
    code, out = call('test.py', CONFIGS[arch],
                     tmp_path / 'ours.pth', '--work-dir', tmp_path,
                     *options(tiny_imagenet, True, 2), 'test_cfg.candidates=1',
                     'test_dataloader.dataset.indices=2')
    assert code == 0, out[-2000:]
    found = {
        row['level']: row['score']
        for row in json.loads((tmp_path / 'results.json').read_text())['pools']
    }
    pools = torch.load(source, weights_only=True)['arch_pools']['pools']
    best = {
        level: max(entries.values())
        for level, entries in pools['flops'].items()
    }
    ends = {'mobilenet_v1': (110, 570), 'mobilenet_v2': (70, 300)}[arch]
    assert found == {
        level: score
        for level, score in best.items() if level not in ends
    }


def damaged(source, change, out):
    checkpoint = torch.load(source, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, out)


def first_pool(checkpoint):
    return next(iter(checkpoint['arch_pools']['pools']['flops'].values()))


@pytest.mark.parametrize('change, words', [
    (lambda c: c.pop('model'), ['"model"']),
    (lambda c: c.pop('arch_pools'), ['"arch_pools"']),
    (lambda c: c['model'].
     pop('module.features.3.1.weight', c['model'].pop(
         'module.features.3.body.1.weight', None)), ['missing', 'bn.weight']),
    (lambda c: c['model'].update(extra=torch.zeros(1)), ['unknown', 'extra']),
    (lambda c: c['model'].update({'module.features.0.0.weight': torch.zeros(3)}
                                 ), ['shape']),
    (lambda c: first_pool(c).update({'{"resolution": ': -1.}),
     ['pool flops', 'is not a subnet']),
    (lambda c: first_pool(c).update({'__import__("os").getcwd()': -1.}),
     ['pool flops', 'is not a subnet']),
    (lambda c: first_pool(c).
     update({
         str(dict(resolution=13, stage_cout_mults=[1.] * 14)): -1.,
         str(dict(resolution=13, stage_cout_mults=[1.] * 9)): -1.
     }), ['pool flops']),
    (lambda c: first_pool(c).update({next(iter(first_pool(c))): float('nan')}),
     ['finite']),
])
def test_bad_checkpoints(call, published, tmp_path, change, words):
    """Oracle: status 2, what and where in one line, nothing written."""
    arch, source = published
    damaged(source, change, tmp_path / 'bad.pt')
    code, out = convert(call, arch, tmp_path / 'bad.pt', tmp_path / 'out.pth')
    line = out.strip().splitlines()[-1]
    assert code == 2 and line.startswith('error: ')
    assert all(word in line for word in words)
    assert not (tmp_path / 'out.pth').exists()


def test_the_other_architecture(call, published, tmp_path):
    """Oracle: the architecture that was asked for, in the message."""
    arch, source = published
    other = next(a for a in CONFIGS if a != arch)
    code, out = convert(call, other, source, tmp_path / 'out.pth')
    assert code == 2 and f'not a {other}' in out


class Malicious:

    def __reduce__(self):
        return print, ('executed', )


def test_nothing_is_executed(call, tmp_path):
    """Oracle: what the pickle would print."""
    torch.save(dict(model={}, x=Malicious()), tmp_path / 'bad.pt')
    code, out = convert(call, 'mobilenet_v2', tmp_path / 'bad.pt',
                        tmp_path / 'out.pth')
    assert code == 2 and 'executed\n' not in out
