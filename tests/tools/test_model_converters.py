"""The converters, as a person calls them."""

import collections
import json
import os
import pickle
import runpy
import sys

import pytest
import torch

from pss.apis import init_model
from pss.structures import Subnet

from ..conftest import FIXTURES, ROOT
from .conftest import options

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
    model = init_model(CONFIGS[arch], tmp_path / 'ours.pth')
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
                     *options(tiny_imagenet, True, 5), 'test_cfg.candidates=1')
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


def test_extract_subnet(call, tmp_path):
    """Oracle: the supernet's logits at the subnet; the config that is written
    builds what the checkpoint holds."""
    from mmengine.config import Config

    from pss.registry import MODELS
    config = ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py'
    model = init_model(config)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    subnet = model.search_space.smallest
    (tmp_path / 's.json').write_text(json.dumps(subnet.as_dict()))
    code, out = call('model_converters/extract_subnet.py', config,
                     tmp_path / 'a.pth', '--subnet', tmp_path / 's.json',
                     '--out', tmp_path / 'small.pth')
    assert code == 0, out
    sys.path.insert(0, str(tmp_path))
    plain = MODELS.build(Config.fromfile(tmp_path / 'small.py').model).eval()
    state = torch.load(tmp_path / 'small.pth', weights_only=True)
    plain.load_state_dict(state['state_dict'], strict=True)
    x = torch.randn(2, 3, 28, 28)
    model.switch_to(subnet)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), model(x), atol=1e-5, rtol=1e-5)
    code, out = call('model_converters/extract_subnet.py', config,
                     tmp_path / 'a.pth', '--subnet', tmp_path / 's.json',
                     '--out', tmp_path / 'small.txt')
    assert code == 2 and 'expected a name ending in .pth' in out
    before = {path: path.read_bytes() for path in tmp_path.glob('*.p*')}
    for name, source in (('a.pth', config), ('small.pth',
                                             tmp_path / 'small.py')):
        code, out = call('model_converters/extract_subnet.py', source,
                         tmp_path / 'a.pth', '--subnet', tmp_path / 's.json',
                         '--out', tmp_path / name)
        assert code == 2 and 'would overwrite' in out
    assert {path: path.read_bytes() for path in tmp_path.glob('*.p*')} == before


def published_table(**changes):
    """A small table in the published layout, and what may be wrong with it."""
    Cfg = collections.namedtuple(
        'BlockCfg',
        ('block_type in_size cin cout cmid kernel_size stride padding'))
    Cfg.__module__ = '__main__'
    fields = dict(
        block_type='MBV2Block',
        in_size=56,
        cin=24,
        cout=24,
        cmid=144,
        kernel_size=None,
        stride=1,
        padding=None)
    time = changes.pop('time', 700.5)
    return {
        Cfg('Linear', 1, 1280, 1000, None, None, None, None): 250.,
        Cfg(**{
            **fields,
            **changes
        }): time
    }


@pytest.fixture
def pickled(monkeypatch, tmp_path):
    """Pickles a table as the published program does."""

    def write(table):
        main = sys.modules['__main__']
        for key in table if isinstance(table, dict) else ():
            if type(key).__name__ == 'BlockCfg':
                monkeypatch.setattr(main, 'BlockCfg', type(key), raising=False)
        path = tmp_path / 'lut.pkl'
        path.write_bytes(pickle.dumps(table))
        return path

    return write


LUT = 'model_converters/import_published_lut.py'


def test_published_latencies(call, reference_costs, tmp_path):
    """Oracle: the latencies that the published program gives to 64 subnets,
    to 1e-6, through the tool that prices subnets."""
    code, out = call(LUT, FIXTURES / 'published_lut_mbv2_cpu.pkl', '--out',
                     tmp_path / 'cpu.json', '--device', 'cpu')
    assert code == 0 and '37390 blocks' in out, out
    rows = reference_costs['mobilenet_v2']
    (tmp_path / 'subnets.json').write_text(
        json.dumps([{
            k: row[k]
            for k in ('resolution', 'widths')
        } for row in rows]))
    code, out = call('analysis_tools/subnet_cost.py', CONFIGS['mobilenet_v2'],
                     tmp_path / 'subnets.json', '--latency-table',
                     tmp_path / 'cpu.json', '--out', tmp_path / 'costs.json')
    assert code == 0, out
    priced = json.loads((tmp_path / 'costs.json').read_text())
    for mine, theirs in zip(priced, rows):
        assert mine['latency_us'] == pytest.approx(
            theirs['latency_cpu_us'], rel=1e-6)
        assert mine['mflops'] == theirs['mflops']
    # the tool reads what it wrote
    code, out = call('analysis_tools/subnet_cost.py', CONFIGS['mobilenet_v2'],
                     tmp_path / 'costs.json', '--out', tmp_path / 'again.json')
    assert code == 0, out


def test_layout_of_mobilenet_v1_tables(call, pickled, tmp_path):
    """Oracle: the rows that were pickled."""
    source = pickled(
        published_table(
            block_type='MBV1Block',
            cmid=None,
            cin=32,
            cout=64,
            in_size=112,
            time=1200))
    code, out = call(LUT, source, '--out', tmp_path / 'v1.json')
    assert code == 0, out
    table = json.loads((tmp_path / 'v1.json').read_text())
    assert table['network'] == {'type': 'SlimmableMobileNetV1'}
    row = table['blocks'][1]
    assert (row['block_type'], row['in_size'], row['cin'], row['cmid'],
            row['cout'], row['stride'], row['shortcut'],
            row['latency']) == ('MBV1Block', 112, 32, None, 64, 1, None, 1200.)


@pytest.mark.parametrize('content, words', [
    (published_table(time=-3.), '-3.0 is not a finite number'),
    (published_table(time=float('inf')), 'inf is not'),
    (published_table(time='fast'), "'fast' is not"),
    (published_table(time=None), 'None is not'),
    (published_table(block_type='Conv3d'), "block_type='Conv3d'"),
    (published_table(cin='24'), "cin='24'"),
    (published_table(in_size=None), 'in_size=None'),
    ({
        'a': 1.
    }, "key 'a' is not"),
    ([1, 2], 'found list'),
    ({}, 'found dict'),
])
def test_bad_published_tables(call, pickled, tmp_path, content, words):
    """Oracle: one line that names what is wrong; what was there stays."""
    out_path = tmp_path / 'out.json'
    out_path.write_text('before')
    code, out = call(LUT, pickled(content), '--out', out_path)
    assert code == 2 and words in out, out
    assert len(out.strip().splitlines()) == 1
    assert out_path.read_text() == 'before'


class Attack:
    """Would create a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


@pytest.mark.parametrize('place', ['whole', 'key', 'value'])
def test_nothing_of_a_table_is_executed(call, tmp_path, place):
    """Oracle: the file that the attack would create."""
    attack = Attack(tmp_path / 'trace')
    content = dict(
        whole=attack, key={(1, attack): 2.}, value={'a': attack})[place]
    (tmp_path / 'lut.pkl').write_bytes(pickle.dumps(content))
    code, out = call(LUT, tmp_path / 'lut.pkl', '--out', tmp_path / 'out.json')
    assert code == 2 and 'refers to' in out and 'nothing of it was' in out
    assert [p.name for p in tmp_path.iterdir()] == ['lut.pkl']


@pytest.mark.parametrize(
    'text',
    [
        b'',
        b'garbage',
        b'\x80\x04',
        pickle.dumps([1, 2, 3])[:-3],
        b'c__main__\nBlockCfg\n(tR.',
        b'cos\nsystem\n(S"true"\ntR.',
        b'c__main__\nother\n.',
        b'cbuiltins\neval\n.',
        b'}r\xff\xff\xff\x7f.',  # would take 16 GB
        b'c__main__\nBlockCfg\nN}S"_fields"\nNs\x86b.',  # changes the class
    ])
def test_damaged_published_tables(call, tmp_path, text):
    """Oracle: one line that names the file, no output."""
    (tmp_path / 'lut.pkl').write_bytes(text)
    code, out = call(LUT, tmp_path / 'lut.pkl', '--out', tmp_path / 'out.json')
    assert code == 2 and 'lut.pkl' in out, out
    assert len(out.strip().splitlines()) == 1
    assert not (tmp_path / 'out.json').exists()


def test_a_batch_size_that_is_none(call, pickled, tmp_path):
    """Oracle: option, value and range in one line; nothing written."""
    code, out = call(LUT, pickled(published_table()), '--batch-size', '-5',
                     '--out', tmp_path / 'out.json')
    assert code == 2 and '--batch-size=-5: expected an integer of at least 1' \
        in out
    assert not (tmp_path / 'out.json').exists()


def test_a_published_table_that_is_a_pipe(call, tmp_path):
    """Oracle: what it is, in one line, at once."""
    os.mkfifo(tmp_path / 'lut.pkl')
    code, out = call(LUT, tmp_path / 'lut.pkl', '--out', tmp_path / 'out.json')
    assert code == 2 and 'lut.pkl: is a named pipe' in out
