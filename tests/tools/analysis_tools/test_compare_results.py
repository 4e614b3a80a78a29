import json

from ...paths import ROOT


def test_compare_results(call, tmp_path):
    """Oracle: the published figures' table; files of one name are averaged;
    wrong names and levels end in one line."""
    published = sorted((ROOT / 'benchmarks' / 'results' /
                        'published').glob('*_mbv2_imagenet.json'))
    row = dict(subnet=dict(resolution=224, widths=[32]), top1=70.)
    for i, name in enumerate('ab'):
        (tmp_path / f'{name}.json').write_text(
            json.dumps(
                dict(
                    largest=dict(row, mflops=300., top1=73. + i),
                    smallest=dict(row, mflops=80.),
                    pools=[])))
    arguments = ('analysis_tools/compare_results.py', tmp_path / 'a.json',
                 tmp_path / 'b.json', *published)
    names = ('--names', 'mine', 'mine', 'MutualNet', 'PSS-Net', 'US-Net')
    out = tmp_path / 'out.json'
    code, text = call(*arguments, *names, '--out', out, '--levels', 300)
    assert code == 0, text
    assert 'mine' in text and '73.50 ± 0.71' in text
    found = json.loads(out.read_text())
    assert found['reference'] == 'mine' and found['range'] == [97., 300.]
    assert [m['runs'] for m in found['methods']] == [2, 1, 1, 1]
    assert {p.name
            for p in tmp_path.iterdir()} == {
                'a.json', 'b.json', 'out.json', 'out.csv', 'out.md', 'out.png'
            }
    for more, words in ((('--names', 'mine'), '1 names for 5 files'),
                        (('--reference', 'his'), "reference='his'"),
                        (('--reference', ''), "reference=''"),
                        ((tmp_path / '.' / 'a.json', ), 'given twice'),
                        (('--out', tmp_path / 'b.json'), 'overwrite'),
                        (('--out', tmp_path / 'c.png'), 'ending in .json')):
        more = more if '--out' in more else (*more, '--out', out)
        code, text = call(*arguments, *more)
        line = text.strip().splitlines()[-1]
        assert code == 2 and words in line
