"""Testing with ``tools/test.py``."""

import json

import torch

from .conftest import options


def test_test_writes_the_results(call, small, checkpoint, tiny_fashion_mnist,
                                 tmp_path):
    """Oracle: the documented form; a second run writes the same file."""
    arguments = ('test.py', small, checkpoint, '--work-dir', tmp_path, '--out',
                 tmp_path / 'results.json')
    code, out = call(*arguments, *options(tiny_fashion_mnist, False))
    assert code == 0, out
    first = (tmp_path / 'results.json').read_text()
    results = json.loads(first)
    assert set(results) == {
        'resources', 'largest', 'smallest', 'pools', 'evaluated'
    }
    assert results['resources'] == {'flops': 'MFLOPs'}
    for row in (results['largest'], results['smallest'], *results['pools']):
        assert set(row['subnet']) == {'resolution', 'widths'}
        assert 0 <= row['top1'] <= 100 and 0.27 < row['mflops'] < 0.92
    assert results['pools'][0]['resource'] == 'flops'
    assert (tmp_path / 'results.csv').is_file()
    assert (tmp_path / 'results.png').stat().st_size > 10_000
    assert '"MFLOPs"' in (tmp_path / 'results.html').read_text()
    last = out.strip().splitlines()
    assert last[-1].split()[0] == 'largest'
    code, _ = call(*arguments, *options(tiny_fashion_mnist, False))
    assert code == 0
    assert (tmp_path / 'results.json').read_text() == first


def test_bad_checkpoints_end_in_one_line(call, small, checkpoint, tmp_path,
                                         tiny_fashion_mnist):
    """Oracle: status 2, and what is wrong in the last line; the results of an
    earlier test stay."""
    state = torch.load(checkpoint, weights_only=True)
    whole = checkpoint.read_bytes()
    cases = {
        'half': 'damaged',
        'other': 'head.fc.weight',
        'bare': 'no pools',
        'absent': 'no such file'
    }
    (tmp_path / 'half.pth').write_bytes(whole[:len(whole) // 2])
    other = dict(state['state_dict'])
    other['head.fc.weight'] = torch.zeros(5, 1280)
    torch.save(dict(state, state_dict=other), tmp_path / 'other.pth')
    state.pop('pss_pools')
    torch.save(state, tmp_path / 'bare.pth')
    (tmp_path / 'results.json').write_text('kept')
    for name, words in cases.items():
        code, out = call('test.py', small, tmp_path / f'{name}.pth',
                         '--work-dir', tmp_path,
                         *options(tiny_fashion_mnist, False))
        line = out.strip().splitlines()[-1]
        assert code == 2 and line.startswith('error: ') and words in line
        assert (tmp_path / 'results.json').read_text() == 'kept'
    code, out = call('train.py', small, '--work-dir', tmp_path, '--resume',
                     tmp_path / 'half.pth', *options(tiny_fashion_mnist, False))
    assert code == 2 and 'damaged' in out.strip().splitlines()[-1]
