"""Whatever is given to the tools: one line, status 2, no traceback."""

import json
import os
import runpy
import shutil
import sys

import pytest

from pss.locks import locked

from ..conftest import ROOT
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
def refuse(monkeypatch, capsys, tmp_path):
    """Runs a tool in this process, in a folder of the test's; gives the line
    that it refuses its arguments with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))

    def refuse(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        monkeypatch.delenv('LOCAL_RANK', raising=False)
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert end.value.code == 2, (captured.out[-500:], captured.err)
        assert 'Traceback' not in captured.out + captured.err
        assert lines[-1].isprintable()
        if lines[0].startswith('usage: '):  # argparse's own
            assert ': error: ' in lines[-1]
        else:
            said = [line for line in lines if line.startswith('error: ')]
            assert said == lines[-1:]
        return lines[-1]

    return refuse


@pytest.fixture
def inputs(tmp_path):
    """Files that are no input of any tool, and what is no file."""
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
    """Oracle: status and form of the line; no output is there."""
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
    """Oracle: the message is of the output, and so before all work; what was
    there stays."""
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
    """Oracle: as above."""
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
    """Oracle: the option in the line."""
    if tool == SAMPLE and option != '--level':
        arguments = (*arguments, '--level', '10')
    for value in ('nan', 'inf', '-inf', '1e999', '-1', '9' * 5000, 'x', ''):
        line = refuse(tool, *arguments, f'{option}={value}')
        assert option in line or tool == EXPORT


def test_results_are_not_overwritten(refuse, tmp_path):
    """Oracle: the file, and what it would be overwritten by."""
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
    """Oracle: status and form of the line."""
    (tmp_path / 'a.json').write_text(
        json.dumps(dict(largest=dict(ROW, mflops=2.), smallest=ROW, pools=[])))
    refuse(tool, 'a.json', *arguments)
    assert os.listdir() == ['a.json']


@pytest.mark.parametrize('lines', [
    '{"pool_fill/flops_80": 1, "step": ' + '9' * 400 + '}',
    '{"pool_fill/flops_80": NaN, "step": 1}', '{"pool_fill/x": 1, "step": 1}'
])
def test_logs_of_pools(refuse, tmp_path, lines):
    """Oracle: status and form of the line."""
    (tmp_path / 'a.json').write_text(f'{lines}\n{lines}\n')
    refuse(PLOT_POOLS, 'a.json')


@pytest.mark.parametrize('sizes', [(0, 0, 0, 0), (800, 9, 800, 9)])
def test_images_that_are_not_whole(refuse, tmp_path, sizes):
    """Oracle: the file in the line, nothing written; labels above 9."""
    for name, size in zip(('train-images-idx3', 'train-labels-idx1',
                           't10k-images-idx3', 't10k-labels-idx1'), sizes):
        (tmp_path / f'{name}-ubyte').write_bytes(b'\x20' * size)
    line = refuse(DETECTION, '--source', '.', '--out', 'out')
    assert 'train-labels-idx1-ubyte' in line
    assert not (tmp_path / 'out').exists()


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
    """Oracle: the file in the line."""
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


@pytest.mark.parametrize(
    'field, words',
    [('train_cfg=None', 'train_cfg is missing; training needs it'),
     ('train_dataloader=None', 'train_dataloader is missing'),
     ('optim_wrapper=5', 'optim_wrapper=5: expected a dict'),
     ('model=None', 'model is missing'), ('model.head.num_classes=11', '=11'),
     ('randomness.seed=-1', 'randomness.seed=-1: expected an integer'),
     ('optim_wrapper.type=NoSuch', 'config: optim_wrapper: KeyError: NoSuch'),
     ('visualizer.type=NoSuch', 'config: visualizer: KeyError: NoSuch'),
     ('train_dataloader.dataset.dataset.pipeline.0.type=NoSuch',
      'config: train_dataloader.dataset.dataset.pipeline.0: KeyError: NoSuch'),
     ('train_dataloader.persistent_workers=True',
      'train_dataloader.persistent_workers=True'),
     ('model.channels_last=x', "channels_last='x': expected True or False"),
     ('default_hooks.checkpoint.interval=0', 'checkpoint.interval=0: expected'),
     ('data_preprocessor.std=[90,0,90]',
      'data_preprocessor.std[1]=0: expected a finite number above 0'),
     ('data_preprocessor.mean=[nan,0,0]', 'data_preprocessor.mean[0]='),
     ('word', "'word': expected KEY=VALUE"), ('a[0]=', "'a[0]='"),
     ('load_from.a=1', "load_from is None, which has no 'a'")])
def test_fields(refuse, tiny_fashion_mnist, field, words):
    """Oracle: the field, and what is wrong."""
    assert words in refuse('train.py', DEMO, '--work-dir', 'work',
                           *options(tiny_fashion_mnist, False, 27), field)


def test_fields_that_testing_needs(refuse):
    """Oracle: the field."""
    for tool, *arguments in (('test.py', 'none'), (RANK, 'none'),
                             (BANK, 'none', '--out', 'o')):
        line = refuse(tool, DEMO, *arguments, '--cfg-options', 'test_cfg=None')
        assert 'test_cfg is missing' in line


def test_detection_data_replaces_its_own_alone(refuse, tmp_path,
                                               tiny_fashion_mnist):
    """Oracle: a file of the user's in a folder like one that the tool wrote,
    which is kept."""
    out = tmp_path / 'out'
    for name in ('annotations/mine.json', 'train/a.txt', 'test/00001.png/x'):
        mine = out / name
        mine.parent.mkdir(parents=True)
        mine.write_text('kept')
        assert 'would be lost' in refuse(DETECTION, '--source',
                                         tiny_fashion_mnist, '--out', out,
                                         '--num', 2, 2, 2)
        assert mine.read_text() == 'kept'
        shutil.rmtree(out)


def test_a_work_dir_in_use(refuse, tmp_path, tiny_fashion_mnist):
    """Oracle: who holds it; it is this process, as another training would."""
    work = tmp_path / 'runs'
    with locked(work / '.train', 'work_dir'):
        line = refuse('train.py', DEMO, '--work-dir', work,
                      *options(tiny_fashion_mnist, False, 27))
    assert f"work_dir='{work}': in use by process {os.getpid()}" in line
    assert not list(work.glob('*.pth'))
