import json

import pytest


def test_plot_results(call, tmp_path):
    """Oracle: a PNG file from two results files, and a page with both names."""
    row = dict(subnet=dict(resolution=24, widths=[24]), mflops=9., top1=80.)
    for name in 'ab':
        (tmp_path / f'{name}.json').write_text(
            json.dumps(dict(largest=row, smallest=row, pools=[])))
    code, _ = call('analysis_tools/plot_results.py', tmp_path / 'a.json',
                   tmp_path / 'b.json', '--out', tmp_path / 'plot.png')
    assert code == 0
    assert (tmp_path / 'plot.png').read_bytes()[:4] == b'\x89PNG'
    code, _ = call('analysis_tools/plot_results.py', tmp_path / 'a.json',
                   tmp_path / 'b.json', '--out', tmp_path / 'plot.html')
    assert code == 0
    page = (tmp_path / 'plot.html').read_text()
    assert '"a: test images"' in page and '"b: test images"' in page


@pytest.mark.parametrize(
    'arguments, words',
    [(('a.json', 'b.json', '--names', 'a', 'a'), "--names: 'a' appears twice"),
     (('a.json', 'b.json', '--names', 'a', ' '), "--names: ' ' cannot"),
     (('a.json', 'a.json'), 'a.json: is given twice'),
     (('a.json', './a.json', '--names', 'a', 'b'), 'is given twice'),
     (('a.json', 'b.json', '--out', 'b.json'), 'would overwrite b.json')])
def test_plot_results_of_files_that_are_mixed_up(call, tmp_path, monkeypatch,
                                                 arguments, words):
    """Oracle: one line that names what appears twice; no figure, and the files
    are unchanged."""
    monkeypatch.chdir(tmp_path)
    row = dict(subnet=dict(resolution=24, widths=[24]), mflops=9., top1=80.)
    text = json.dumps(dict(largest=row, smallest=row, pools=[]))
    for name in 'ab':
        (tmp_path / f'{name}.json').write_text(text)
    code, output = call('analysis_tools/plot_results.py', *arguments)
    assert code == 2 and words in output
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.json', 'b.json']
    assert (tmp_path / 'b.json').read_text() == text
