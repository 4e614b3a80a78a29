"""Bad input to every tool: one line, status 2, no traceback."""

import json
import os

import pytest

from .conftest import DEMO, options

PLOT_POOLS = 'analysis_tools/plot_pools.py'

PLOT_RESULTS = 'analysis_tools/plot_results.py'

COMPARE = 'analysis_tools/compare_results.py'

RANK = 'analysis_tools/rank_pools.py'

COST = 'analysis_tools/subnet_cost.py'

SAMPLE = 'analysis_tools/sample_subnets.py'

LATENCY = 'build_latency_table.py'

EXTRACT = 'model_converters/extract_subnet.py'

PUBLISHED = 'model_converters/import_published.py'

LUT = 'model_converters/import_published_lut.py'

BANK = 'deployment/build_bank.py'

EXPORT = 'deployment/export_subnet.py'

FASHION = 'dataset_converters/fashion_mnist.py'

DETECTION = 'dataset_converters/fashion_mnist_detection.py'

ROW = dict(subnet=dict(resolution=28, widths=[8]), mflops=1., top1=2.)


@pytest.fixture
def inputs(tmp_path):
    """Files that are not input of any tool, and paths that are not files."""
    contents = {
        'empty': b'',
        'binary': bytes(range(256)),
        'text': b'hello',
        'number.json': b'5',
        'null.json': b'null',
        'nested.json': b'[' * 100000,
        'infinite.json': b'[{"resolution": 1e999, "widths": [1]}]',
        'nan.json': b'{"largest": NaN, "smallest": 1, "pools": 3}',
        'latin.json': b'"\xe9"'
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / 'folder').mkdir()
    return [*contents, 'folder', 'none', 'a\x1b[31m\n', 'x' * 300]


@pytest.mark.parametrize(
    'tool, arguments',
    [(COST, (DEMO, '{}', '--out', 'o.json')), (PLOT_POOLS, ('{}', )),
     (PLOT_RESULTS, ('{}', )), (COMPARE, ('{}', )), (RANK, (DEMO, '{}')),
     ('test.py', (DEMO, '{}')), ('train.py', (DEMO, '--resume', '{}')),
     (EXTRACT, (DEMO, '{}', '--subnet', 'subnet.json', '--out', 'o.pth')),
     (PUBLISHED, ('{}', '--arch', 'mobilenet_v2', '--out', 'o.pth')),
     (LUT, ('{}', '--out', 'o.json')), (BANK, (DEMO, '{}', '--out', 'bank')),
     (EXPORT, ('{}', '--all', '--format', 'torch', '--out', 'exports')),
     (SAMPLE, (DEMO, '--latency-table', '{}', '--level', '9', '--out', 'o')),
     (FASHION, ('--source', '{}', '--out', 'data')),
     (DETECTION, ('--source', '{}', '--out', 'data'))])
def test_inputs(refuse, inputs, tiny_fashion_mnist, tool, arguments):
    """Oracle: exit status and form of the message; no output is written."""
    runs = []
    if tool in ('train.py', 'test.py', RANK, BANK):
        runs = [*options(tiny_fashion_mnist, False), 'work_dir=work']
    if DEMO in arguments:
        inputs = ['binary', 'none']  # a model is built for each
    before = set(os.listdir())
    for path in inputs:
        refuse(tool, *(a.format(path) if a == '{}' else a for a in arguments),
               *runs)
    assert set(os.listdir()) - before <= {'work'}


@pytest.mark.parametrize('tool, arguments',
                         [(COST, (DEMO, 'subnets.json', '--out')),
                          (SAMPLE, (DEMO, '--level', '10', '--out')),
                          (LATENCY, (DEMO, '--out')),
                          (PLOT_POOLS, ('none', '--out')),
                          (PLOT_RESULTS, ('none', '--out')),
                          (COMPARE, ('none', '--out')),
                          (RANK, (DEMO, 'none', '--out')),
                          ('test.py', (DEMO, 'none', '--out')),
                          (LUT, ('none', '--out')),
                          (EXTRACT,
                           (DEMO, 'none', '--subnet', 'none', '--out')),
                          (PUBLISHED,
                           ('none', '--arch', 'mobilenet_v1', '--out'))])
def test_outputs_that_are_files(refuse, tmp_path, tool, arguments):
    """Oracle: the message is about the output, so it comes before all work;
    existing files stay."""
    ending = {EXTRACT: '.pth'}.get(tool, '.json')
    (tmp_path / 'text').write_text('kept')
    (tmp_path / f'folder{ending}').mkdir()
    for out in (f'folder{ending}', f'/proc/nowhere/o{ending}',
                f'/sys/o{ending}', f'text/o{ending}', 'x' * 300 + ending,
                'x' * 250 + ending, f'o\0{ending}', '/dev/null', ''):
        line = refuse(tool, *arguments, out)
        assert 'out' in line or 'folder' in line, line
    assert (tmp_path / 'text').read_text() == 'kept'


@pytest.mark.parametrize('tool, arguments',
                         [(BANK, (DEMO, 'none', '--out')),
                          (FASHION, ('--source', '.', '--out')),
                          (EXPORT,
                           ('none', '--all', '--format', 'onnx', '--out')),
                          (DETECTION, ('--source', '.', '--out')),
                          ('test.py', (DEMO, 'none', '--show-dir')),
                          ('train.py', (DEMO, '--work-dir'))])
def test_outputs_that_are_folders(refuse, tmp_path, tool, arguments):
    """Oracle: as for outputs that are files."""
    (tmp_path / 'text').write_text('kept')
    for out in ('text', '/proc/nowhere', '/sys/o', 'text/o', 'x' * 300, 'o\0',
                '/dev/null'):
        line = refuse(tool, *arguments, out)
        assert arguments[-1] in line or 'work_dir' in line
    assert (tmp_path / 'text').read_text() == 'kept'


@pytest.mark.parametrize('tool, arguments, option', [
    *((SAMPLE, (DEMO, '--out', 'o'), option)
      for option in ('--level', '--num', '--seed')),
    *((LATENCY, (DEMO, '--out', 'o'), option)
      for option in ('--batch-size', '--threads', '--max-blocks',
                     '--min-run-time', '--rounds', '--verify', '--seed')),
    (RANK, (DEMO, 'none'), '--draws'),
    ('test.py', (DEMO, 'none'), '--interval'),
    ('train.py', (DEMO, ), '--local-rank'),
    (LUT, ('none', '--out', 'o'), '--batch-size'),
    *((DETECTION, ('--source', '.', '--out', 'o'), option)
      for option in ('--size', '--most', '--seed')),
    (EXPORT, ('none', '--format', 'onnx', '--out', 'o'), '--budget')
])
def test_numbers(refuse, tool, arguments, option):
    """Oracle: the message names the option."""
    if tool == SAMPLE and option != '--level':
        arguments = (*arguments, '--level', '10')
    for value in ('nan', 'inf', '-inf', '1e999', '-1', '9' * 5000, 'x', ''):
        line = refuse(tool, *arguments, f'{option}={value}')
        assert option in line or tool == EXPORT


def test_results_are_not_overwritten(refuse, tmp_path):
    """Oracle: the message names the file and what would overwrite it."""
    text = json.dumps(
        dict(largest=dict(ROW, mflops=2.), smallest=ROW, pools=[]))
    (tmp_path / 'a.json').write_text(text)
    (tmp_path / 'a.png').write_text(text)
    for tool, *arguments in ((PLOT_RESULTS, 'a.png', '--out',
                              './a.png'), (COMPARE, 'a.png', '--out', 'a.json'),
                             (COMPARE, 'a.json', '--out', tmp_path / 'a.json'),
                             ('test.py', DEMO, 'a.json', '--out', 'a.json'),
                             ('test.py', DEMO, 'a.png', '--out', 'a.json'),
                             (PUBLISHED, 'a.json', '--arch', 'mobilenet_v1',
                              '--out', 'a.json'), (LUT, 'a.json', '--out',
                                                   'a.json'),
                             (COST, DEMO, 'a.json', '--out',
                              'a.json'), (EXTRACT, 'o.py', 'none', '--subnet',
                                          'none', '--out', 'o.pth')):
        assert 'would overwrite' in refuse(tool, *arguments)
    for tool, *arguments in (('test.py', DEMO, 'none', '--out', 'results.csv'),
                             (COMPARE, 'a.json', '--out', 'results.csv')):
        assert 'expected a name ending in .json' in refuse(tool, *arguments)
    assert (tmp_path / 'a.json').read_text() == text


@pytest.mark.parametrize('tool, arguments',
                         [(PLOT_RESULTS, ('--out', 'o.xyz')),
                          (PLOT_RESULTS, ('--resource', 'x\x1b')),
                          (PLOT_RESULTS, ('--names', 'a', 'b')),
                          (COMPARE, ('--reference', 'x')),
                          (COMPARE, ('--levels', 'nan')),
                          (COMPARE, ('--levels', '1e999')),
                          (COMPARE, ('--levels', '1.5', '1.5')),
                          (COMPARE, ('--levels', 'x')),
                          (COMPARE, ('--resource', 'x')),
                          (COMPARE, ('a.json', ))])
def test_arguments_of_figures(refuse, tmp_path, tool, arguments):
    """Oracle: exit status and form of the message."""
    (tmp_path / 'a.json').write_text(
        json.dumps(dict(largest=dict(ROW, mflops=2.), smallest=ROW, pools=[])))
    refuse(tool, 'a.json', *arguments)
    assert os.listdir() == ['a.json']


CONFIGS = {
    'syntax.py': 'model = dict(',
    'name.py': 'x = nothing',
    'zero.py': '1 / 0',
    'exit.py': 'import sys; sys.exit(3)',
    'empty.py': '',
    'list.json': '[]',
    'lines.py': 'raise Exception("a\\nb\\x1b[31m")',
    'half.json': '{',
    'null.yaml': '',
    'half.yml': 'a: [b',
    'list.yml': '- a',
    'a.txt': 'a = 1',
    'itself.py': '_base_ = "itself.py"',
    'gone.py': '_base_ = "nowhere.py"',
    'pair.py': '_base_ = ["name2.py", "name3.py"]',
    'name2.py': 'filename = 1',
    'name3.py': 'filename = 1',
    'template.py': 'x = {{ _base_.y }}',
    'variable.py': 'x = "{{$PSS_NO_SUCH_VARIABLE:}}"',
    'module.py': 'custom_imports = dict(imports=["no_such"])',
    'imports.py': 'custom_imports = 5',
    'model.py': 'model = 5',
    'none.py': 'model = None',
    'other.py': 'a = 1',
    'kind.py': 'model = {1: 2}',
    'type.py': 'model = dict(type="NoSuch")',
    'cycle.py': 'd = {}; d["d"] = d',
    'lazy.py': 'import torch\nmodel = dict(type=torch.no_such)',
    'base.py': 'from mmengine.config import read_base\nwith read_base():\n'
    '    from .no_such import *',
    'hooks.py': 'model = dict(type="a")\ndefault_hooks = []',
    'hook.py': 'model = dict(type="a")\ndefault_hooks = dict(pss_sampler=3)'
}


@pytest.mark.parametrize('tool, arguments',
                         [('train.py', ()), ('test.py', ('none', )),
                          (COST, ('a', '--out', 'o')),
                          (SAMPLE, ('--level', '9', '--out', 'o')),
                          (LATENCY, ('--out', 'o')), (RANK, ('none', )),
                          (BANK, ('none', '--out', 'o')),
                          (EXTRACT,
                           ('none', '--subnet', 'none', '--out', 'o.pth'))])
def test_configs(refuse, tmp_path, tool, arguments):
    """Oracle: the message names the file."""
    (tmp_path / 'folder.py').mkdir()
    (tmp_path / 'latin.py').write_bytes(b'a = "\xe9"')
    os.mkfifo(tmp_path / 'pipe.py')
    for name, text in CONFIGS.items():
        (tmp_path / name).write_text(text)
    names = (*CONFIGS, 'folder.py', 'latin.py', 'pipe.py', 'nowhere.py')
    for name in names if tool == 'train.py' else names[-18:]:
        assert name in refuse(tool, name, *arguments)
    for name in ('', 'x' * 300, 'a\x1b.py'):
        refuse(tool, name, *arguments)


def test_fields_that_testing_needs(refuse):
    """Oracle: the message names the field."""
    for tool, *arguments in (('test.py', 'none'), (RANK, 'none'),
                             (BANK, 'none', '--out', 'o')):
        line = refuse(tool, DEMO, *arguments, '--cfg-options', 'test_cfg=None')
        assert 'test_cfg is missing' in line
