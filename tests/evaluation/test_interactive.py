"""The interactive page of results, read as text and opened in a browser."""

import copy
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from pss.errors import InputError
from pss.evaluation import report_results, write_page

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')


def entry(mflops, **more):
    return dict(
        subnet=dict(resolution=24, widths=[24, 16]),
        mflops=mflops,
        latency_phone=mflops * 2000,
        held_out_top1=70. + mflops,
        **more)


RESULTS = dict(
    resources=dict(flops='MFLOPs', latency_phone='us'),
    largest=entry(20.5, top1=89., top1_se=0.31),
    smallest=entry(5.25, top1=75.),
    pools=[
        entry(12.25, top1=82., resource='flops', level=12.5),
        entry(9.5, top1=79., resource='flops', level=10., top1_se=0.407),
        entry(13., top1=83., resource='latency_phone', level=26_000.)
    ],
    evaluated=[
        entry(
            9. + i,
            images=1000 * (i + 1),
            held_out_top1_se=1.25,
            expected_top1=77.,
            expected_top1_se=0.5) for i in range(3)
    ])
PLAIN = {key: RESULTS[key] for key in ('largest', 'smallest', 'pools')}


def figures(page):
    """The traces and the layout of each panel."""
    found, decoder = [], json.JSONDecoder()
    for start in re.finditer(r'Plotly\.newPlot\(\s*"top1-\d+",\s*', page):
        traces, end = decoder.raw_decode(page, start.end())
        layout, _ = decoder.raw_decode(page, page.index('{', end))
        found.append((traces, layout))
    return found


class Tags(HTMLParser):
    """The tags of a page, and the values that would load or run something."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.links = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [
            value for name, value in attrs
            if name in ('src', 'href') or name.startswith('on')
        ]


def test_what_is_drawn(tmp_path):
    """Oracle: the figures in RESULTS; a panel for each resource, the kept
    subnets of its pools by cost, and the ends."""
    write_page({'a': RESULTS}, tmp_path / 'r.html')
    panels = figures((tmp_path / 'r.html').read_text())
    titles = [layout['xaxis']['title']['text'] for _, layout in panels]
    assert titles == ['MFLOPs', 'latency_phone (us)']
    points = {
        (t['legendgrouptitle']['text'], t['name']): (t['x'], t['y'])
        for t in panels[0][0]
    }
    assert points == {
        ('held-out images', 'candidates'): ([9., 10., 11.], [79., 80., 81.]),
        ('held-out images', 'kept subnets'):
        ([9.5, 12.25, 5.25, 20.5], [79.5, 82.25, 75.25, 90.5]),
        ('test images', 'best of each pool'): ([9.5, 12.25], [79., 82.]),
        ('test images', 'smallest'): ([5.25], [75.]),
        ('test images', 'largest'): ([20.5], [89.])
    }
    phone = {t['name']: t['x'] for t in panels[1][0]}
    assert phone['best of each pool'] == [26_000.]
    assert phone['candidates'] == [18_000., 20_000., 22_000.]


def test_hover(tmp_path):
    """Oracle: the lines by hand, with the table's number formats."""
    write_page({'a': RESULTS}, tmp_path / 'r.html')
    (traces, _), _ = figures((tmp_path / 'r.html').read_text())
    texts = {t['name']: t['hovertext'] for t in traces}
    assert texts['best of each pool'][0].split('<br>') == [
        '<b>flops 10</b>', 'resolution 24', 'widths 24 16', '9.500 MFLOPs',
        'latency_phone 19000 us', 'held-out top-1 79.50 %',
        'test top-1 79.00 ± 0.41 %'
    ]
    candidate = texts['candidates'][1].split('<br>')
    assert candidate[0] == '<b>candidate</b>' and candidate[-2:] == [
        'held-out top-1 80.00 ± 1.25 % (2,000 images)',
        'expected top-1 77.00 ± 0.50 %'
    ]


def test_results_with_fewer_fields(tmp_path):
    """Oracle: without candidates or resources, one panel without candidates;
    of two results, a resource's panel shows those that have it, each in its
    colour; without held-out top-1, only what was tested."""
    write_page({'a': PLAIN, 'b': RESULTS}, tmp_path / 'r.html')
    both, phone = (traces
                   for traces, _ in figures((tmp_path / 'r.html').read_text()))
    titles = [t['legendgrouptitle']['text'] for t in both]
    assert titles.count('a: test images') == 3
    assert titles.count('a: held-out images') == 1
    assert titles.count('b: held-out images') == 2
    assert {t['legendgrouptitle']['text'][0] for t in phone} == {'b'}
    colours = {
        t['legendgrouptitle']['text'][0]: t['marker']['color']
        for t in both
    }
    assert colours['a'] != colours['b'] == phone[0]['marker']['color']
    write_page({'b': RESULTS}, tmp_path / 'r.html', 'latency_phone')
    assert len(figures((tmp_path / 'r.html').read_text())) == 1
    other = copy.deepcopy(RESULTS)
    for row in (other['largest'], other['smallest'], *other['pools'],
                *other['evaluated']):
        row['held_out_mAP'] = row.pop('held_out_top1')
    write_page({'b': other}, tmp_path / 'r.html')
    for traces, _ in figures((tmp_path / 'r.html').read_text()):
        assert {t['legendgrouptitle']['text']
                for t in traces} == {'test images'}


def test_equal_results_give_equal_files(tmp_path):
    """Oracle: the bytes of the first file."""
    for name in 'xy':
        write_page({'a': copy.deepcopy(RESULTS)}, tmp_path / f'{name}.html')
    assert (tmp_path / 'x.html').read_bytes() == \
        (tmp_path / 'y.html').read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ['x.html', 'y.html']


BAD = '</script><script>throw 1</script><img src=x onerror="throw 2">&\ud800'


def hostile():
    """RESULTS whose names are HTML."""
    results = json.loads(json.dumps(RESULTS).replace('latency_phone', 'BAD'))
    results['largest']['BAD metric'] = 1.5
    results['resources']['BAD'] = 'BAD'
    return json.loads(json.dumps(results).replace('BAD', json.dumps(BAD)[1:-1]))


def test_names_are_only_text(tmp_path):
    """Oracle: the tags of a page with plain names, none of which loads
    anything; the names in the table."""
    plain, bad = copy.deepcopy(RESULTS), tmp_path / 'bad.html'
    plain['largest']['metric'] = 1.5
    write_page({'a': plain}, tmp_path / 'plain.html')
    write_page({BAD: hostile()}, bad)
    tags = Tags(bad.read_text())
    assert tags.tags == Tags((tmp_path / 'plain.html').read_text()).tags
    assert tags.links == []
    assert f'{BAD[:-1]}? metric' in html.unescape(bad.read_text())


@pytest.mark.parametrize('change, words', [
    (lambda r: r['resources'].update(latency_phone='ms'),
     "'latency_phone' have different units: ms, us; expected one"),
    (lambda r: r.update(resources=dict(flops='GFLOPs')),
     "'flops' have different units"),
])
def test_units_that_differ(tmp_path, change, words):
    """Oracle: the units in the message, and no file."""
    other = copy.deepcopy(RESULTS)
    change(other)
    with pytest.raises(InputError, match=words):
        write_page({'a': RESULTS, 'b': other}, tmp_path / 'r.html')
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(tmp_path):
    """Oracle: the cost or the file in the message."""
    with pytest.raises(InputError, match="a: no costs in 'latency_phone'"):
        write_page({'a': PLAIN}, tmp_path / 'r.html', 'latency_phone')
    with pytest.raises(InputError, match='is a folder; expected a file'):
        write_page({'a': PLAIN}, tmp_path)


def test_report(tmp_path, capsys):
    """Oracle: the page beside the JSON file, and its name in the output."""
    report_results(PLAIN, tmp_path / 'r.json')
    assert len(figures((tmp_path / 'r.html').read_text())) == 1
    assert 'r.html' in capsys.readouterr().out


@pytest.fixture
def browse(tmp_path):
    """Opens a page without a network, runs a script in it, and takes a picture.
    Returns the document after that, what was logged, and the picture."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f'no browser on PATH: one of {", ".join(BROWSERS)}')

    def browse(page, script):
        """Waits for a second of the page's time before running the script."""
        text = page.read_text()
        end = text.rindex('</body>')
        page.write_text(f'{text[:end]}<script>setTimeout(() => {{{script};'
                        f'console.log("done");}}, 1000);</script>{text[end:]}')
        picture = tmp_path / 'page.png'
        done = subprocess.run([
            browser, '--headless', '--no-sandbox', '--disable-gpu',
            '--disable-dev-shm-usage', '--enable-logging=stderr',
            '--host-resolver-rules=MAP * ~NOTFOUND', '--window-size=1500,900',
            f'--user-data-dir={tmp_path / "profile"}',
            '--virtual-time-budget=10000', f'--screenshot={picture}',
            '--dump-dom',
            page.as_uri()
        ],
                              capture_output=True,
                              text=True,
                              timeout=300,
                              check=True)
        logged = re.findall(r':CONSOLE.*?\] (.*), source:', done.stderr)
        return done.stdout, logged, cv2.imread(str(picture))

    return browse


def texts(document, part):
    """The text in an SVG layer of each panel."""
    layers = re.findall(rf'<g class="{part}">(.*?)</svg>', document, re.S)
    return [html.unescape(re.sub('<[^>]*>', '\n', layer)) for layer in layers]


def test_in_a_browser(tmp_path, browse):
    """Oracle: the points of RESULTS, drawn as SVG, and a pixel colour of the
    plot; the lines of one subnet when the pointer is on it; nothing logged
    but by the test; buttons that stay on this machine."""
    page = tmp_path / 'r.html'
    write_page({'a': RESULTS}, page)
    document, logged, picture = browse(
        page, 'Plotly.Fx.hover("top1-0", [{curveNumber: 2, pointNumber: 0}])')
    assert logged == ['"done"']
    # candidates, kept subnets on both kinds of images
    assert document.count('<path class="point"') == (3 + 4 + 4) + (3 + 3 + 3)
    hover, _ = texts(document, 'hoverlayer')
    for line in ('flops 10', 'widths 24 16', '9.500 MFLOPs',
                 'test top-1 79.00 ± 0.41 %'):
        assert line in hover
    buttons = set(re.findall(r'data-title="([^"]*)"', document))
    assert buttons == {
        'Download plot as a PNG', 'Zoom', 'Pan', 'Zoom in', 'Zoom out',
        'Reset axes'
    }
    blue = (picture == np.array([180, 119, 31])).all(-1)  # markers and lines
    for half in np.split(blue, 2, axis=1):
        assert half.sum() > 200


def test_hostile_names_in_a_browser(tmp_path, browse):
    """Oracle: no script ran; the axis shows the name as it is."""
    page = tmp_path / 'r.html'
    write_page({BAD: hostile()}, page)
    document, logged, _ = browse(
        page, 'Plotly.Fx.hover("top1-1", [{curveNumber: 2, pointNumber: 0}])')
    assert logged == ['"done"'] and '<img' not in document
    name = BAD.replace('\ud800', '?')
    assert f'{name} ({name})' in texts(document, 'infolayer')[1]
    assert f'{name} 26000' in texts(document, 'hoverlayer')[1]
