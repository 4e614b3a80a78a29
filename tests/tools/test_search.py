"""Searching with ``tools/search.py``."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from pss.apis import AdaptiveClassifier
from pss.resources import Latency
from pss.structures import Subnet

from ..searching import search_config
from ..stress.fuzzing.fixtures import write_table

TOOL = 'search.py'
FLOPS = (0.07, 0.12, 0.14, 0.8)
LATENCIES = (20.4, 21., 24.)  # of a table by write_table
QUICK = ('--budgets', 'flops=0.3', '--cfg-options',
         'test_cfg.search.candidates=4')


@pytest.fixture(scope='module')
def folder(searchable, tmp_path_factory):
    """A folder with the supernet's config, a checkpoint, and a table of a
    device that training knew nothing of."""
    folder = tmp_path_factory.mktemp('search')
    write_config(folder / 'config.json', searchable)
    shutil.copy(searchable.checkpoint, folder / 'checkpoint.pth')
    write_table(searchable.loop.model, folder / 'phone.json')
    return folder


def write_config(path, searchable, **changes):
    """Writes the supernet's config."""
    config = search_config(searchable.data, path.parent / 'work', **changes)
    path.write_text(json.dumps(config.to_dict()))


@pytest.fixture
def words(folder):
    """The first words of every command line."""
    return TOOL, folder / 'config.json', folder / 'checkpoint.pth'


@pytest.fixture
def new_device(folder):
    """The words that ask for a new device."""
    return ('--budgets', *(f'{name}={",".join(map(str, levels))}'
                           for name, levels in (('flops', FLOPS),
                                                ('phone', LATENCIES))),
            '--table', f'phone={folder / "phone.json"}')


@pytest.fixture
def device(folder, words, new_device, call):
    """The folder of a search for a new device, and what it printed; searched
    once."""
    out, printed = folder / 'device', folder / 'printed'
    if not printed.exists():
        code, text = call(*words, '--out', out, *new_device)
        assert code == 0, text
        printed.write_text(text)
    return out, printed.read_text()


def read(out):
    return json.loads((out / 'results.json').read_text())


def latency_of(folder, searchable, row):
    """A row's latency by the table, in a cost table of its own."""
    cost = Latency(str(folder / 'phone.json')).table(searchable.loop.model)
    return cost(cost.space.encode([Subnet.from_dict(row['subnet'])]))[0]


def test_a_new_device_from_an_old_checkpoint(device, folder, searchable):
    """Oracle: the latencies by the table, none above its limit; with rising
    limits, of either resource, neither accuracy falls."""
    results = read(device[0])
    assert results['resources'] == dict(flops='MFLOPs', phone='us')
    rows = results['pools']
    assert [(row['resource'], row['level']) for row in rows] == [
        *(('flops', level) for level in FLOPS),
        *(('phone', level) for level in LATENCIES)
    ]
    for row in rows:
        assert row['phone'] == pytest.approx(
            latency_of(folder, searchable, row))
        field = 'mflops' if row['resource'] == 'flops' else 'phone'
        assert row[field] <= row['level']
    for name in ('flops', 'phone'):
        mine = [row for row in rows if row['resource'] == name]
        for field in ('held_out_top1', 'expected_top1'):
            values = [row[field] for row in mine]
            assert values == sorted(values)
    kept = [json.dumps(row['subnet']) for row in rows]
    assert 2 < len(set(kept)) < len(kept)  # one subnet for several budgets


def test_all_that_is_written(device):
    """Oracle: the rows of results.json in CSV and in the printed table, with
    its standard errors; a picture for each resource."""
    out, printed = device
    results = read(out)
    rows = list(csv.DictReader((out / 'results.csv').open()))
    assert [row['pool'] for row in rows] == [
        'smallest', *(f'flops {level:g}' for level in FLOPS),
        *(f'phone {level:g}' for level in LATENCIES), 'largest'
    ]
    wanted = [results['smallest'], *results['pools'], results['largest']]
    table = printed.strip().splitlines()[-len(rows):]
    for row, other, line in zip(rows, wanted, table):
        for field in ('top1', 'top1_se', 'held_out_top1', 'held_out_top1_se',
                      'expected_top1', 'expected_top1_se', 'phone', 'mflops'):
            assert float(row[field]) == pytest.approx(other[field])
        for field in ('top1', 'held_out_top1'):
            assert f'{other[field]:.2f} ± {other[f"{field}_se"]:.2f}' in line
        assert line.startswith(row['pool'])
    for name in ('results.png', 'results_phone.png'):
        assert (out / name).stat().st_size > 10_000


def test_the_bank_switches_by_the_new_latency(device, searchable):
    """Oracle: the results; the most accurate on held-out images of all that
    fit a limit, by hand."""
    out, _ = device
    results = read(out)
    net = AdaptiveClassifier(out / 'bank')
    rows = [results['smallest'], *results['pools'], results['largest']]
    assert len(net.subnets) == len(rows)
    assert net.resources == results['resources']
    for kept, row in zip(net.subnets, rows):
        assert kept.subnet == Subnet.from_dict(row['subnet'])
        assert kept.costs == dict(flops=row['mflops'], phone=row['phone'])
        assert kept.held_out_accuracy == row['held_out_top1']
    for limit in (*LATENCIES, 20.6, 1000.):
        active = net.switch(phone=limit)
        fitting = [row for row in rows if row['phone'] <= limit]
        assert active.costs['phone'] <= limit
        assert active.held_out_accuracy == max(row['held_out_top1']
                                               for row in fitting)
    image = np.zeros((28, 28), np.uint8)
    assert net.predict(image)[0]['pred_label'] in range(10)


def test_its_bank_is_exported(device, call, tmp_path):
    """Oracle: a file for each name in the bank, also of a subnet that has
    several."""
    out, _ = device
    code, text = call('deployment/export_subnet.py', out / 'bank', '--all',
                      '--format', 'torch', '--out', tmp_path / 'exports')
    assert code == 0, text
    names = {path.stem for path in (tmp_path / 'exports').glob('*.pth')}
    assert len(names) == len(read(out)['pools']) + 2


def test_going_on(device, words, new_device, call, tmp_path):
    """Oracle: results and journal of the search without interruption; other
    budgets use what was measured for these."""
    out, _ = device
    lines = (out / 'search.jsonl').read_text().splitlines(keepends=True)
    (tmp_path / 'search.jsonl').write_text(''.join(lines[:12]) + '{"subn')
    code, text = call(*words, '--work-dir', tmp_path, *new_device)
    assert code == 0, text
    assert read(tmp_path) == read(out)
    assert (tmp_path / 'search.jsonl').read_text() == ''.join(lines)
    code, text = call(*words, '--out', tmp_path, '--budgets', 'flops=0.12')
    assert code == 0, text
    after = (tmp_path / 'search.jsonl').read_text().splitlines(keepends=True)
    assert after[:len(lines)] == lines
    assert [row['level'] for row in read(tmp_path)['pools']] == [0.12]


def test_levels_of_the_config(searchable, folder, words, call, tmp_path):
    """Oracle: what training found for them, also where the config asks for no
    search; nothing in the journal is measured again."""
    shutil.copy(searchable.work / 'search.jsonl', tmp_path)
    before = (tmp_path / 'search.jsonl').read_bytes()
    search = ['test_cfg.search.candidates=8', 'test_cfg.search.finalists=2']
    code, text = call(*words, '--out', tmp_path, '--cfg-options', *search)
    assert code == 0, text
    assert read(tmp_path) == searchable.loop.results
    assert (tmp_path / 'search.jsonl').read_bytes() == before
    assert len(AdaptiveClassifier(tmp_path / 'bank').subnets) == 5
    code, text = call(*words, '--out', tmp_path / 'none', '--budgets',
                      'flops=0.3', '--cfg-options', 'test_cfg.search=None')
    assert code == 0, text
    assert len(read(tmp_path / 'none')['evaluated']) > 5


def test_a_checkpoint_without_pools(words, folder, call, tmp_path):
    """Oracle: a subnet for the budget, from the space alone; without a folder
    it stays out of the training's."""
    state = torch.load(words[2], weights_only=True)
    del state['pss_pools']
    torch.save(state, tmp_path / 'bare.pth')
    code, text = call(TOOL, words[1], tmp_path / 'bare.pth', *QUICK,
                      f'work_dir={tmp_path}')
    assert code == 0, text
    assert not [*tmp_path.glob('results.*')]
    row, = read(tmp_path / 'search')['pools']
    assert row['mflops'] <= 0.3 and 'score' not in row


def test_the_other_tools_search_too(words, call, tmp_path, searchable):
    """Oracle: the results and the bank of training, with a config that has a
    search."""
    shutil.copy(searchable.work / 'search.jsonl', tmp_path)
    code, text = call('test.py', *words[1:], '--work-dir', tmp_path)
    assert code == 0, text
    assert read(tmp_path) == searchable.loop.results
    code, text = call('deployment/build_bank.py', *words[1:], '--work-dir',
                      tmp_path, '--out', tmp_path / 'other')
    assert code == 0, text
    for path in (searchable.work / 'bank').iterdir():
        assert path.read_bytes() == (tmp_path / 'other' /
                                     path.name).read_bytes()


# bad input


@pytest.mark.parametrize('arguments, line', [
    ('--budgets flops=', "--budgets 'flops=': expected NAME=LEVEL"),
    ('--budgets flops', "--budgets 'flops': expected NAME=LEVEL"),
    ('--budgets =5', "--budgets '=5': expected NAME=LEVEL"),
    ('--budgets flops=1:2', "--budgets 'flops=1:2': expected NAME=LEVEL"),
    ('--budgets flops=3 flops=4', '--budgets: flops appears twice'),
    ('--budgets', 'argument --budgets: expected at least one argument'),
    ('--table x', "--table 'x': expected NAME=JSON"),
    ('--table x=', "--table 'x=': expected NAME=JSON"),
    ('--table flops=phone.json', 'there is a resource flops already'),
    ('--table a=phone.json a=b.json', 'there is a resource a already'),
    ('--out x --work-dir y', '--out and --work-dir are the same'),
    ('--cfg-options test_cfg.search=3', 'test_cfg.search=3: expected a dict'),
    ('--cfg-options test_cfg.search=abc', "test_cfg.search='abc': expected a"),
    ('--cfg-options test_cfg=None', 'test_cfg is missing; searching needs it'),
    ('--cfg-options default_hooks.pss_sampler=None',
     'default_hooks.pss_sampler is missing; searching needs its resources'),
    ('--cfg-options default_hooks.pss_sampler.resources=3',
     'default_hooks.pss_sampler.resources=3: expected a dict'),
    ('--out text', "work_dir='text': cannot be written to"),
    ('--out /proc/x', "work_dir='/proc/x': cannot be written to"),
])
def test_bad_words(refuse, words, arguments, line, tmp_path):
    """Oracle: the option or field, its value and what was expected, before
    anything is built or written."""
    (tmp_path / 'text').write_text('kept')
    assert line in refuse(*words, *arguments.split())
    assert [path.name for path in tmp_path.iterdir()] == ['text']
    assert (tmp_path / 'text').read_text() == 'kept'


@pytest.mark.parametrize('arguments, line', [
    ('--budgets flop=3', "test_cfg.search.budgets: unknown key 'flop' (did you "
     "mean 'flops'?); expected one of flops"),
    ('--cfg-options test_cfg.search.candidate=3',
     "test_cfg.search: unknown key 'candidate'"),
    ('--cfg-options test_cfg.metric=bbox_mAP',
     "test_cfg.metric='bbox_mAP': a search compares"),
    ('--cfg-options test_cfg.selection_dataloader.dataset.every=20',
     'test_cfg.selection_dataloader: 30 held-out images cannot rank subnets; '
     'expected at least 100, or test_cfg.search=None'),
    ('--table phone=absent.json', 'absent.json: no such file'),
    ('--table phone=other.json', 'other.json: network'),
    ('--table top1=phone.json', "the name 'top1' is taken or no identifier"),
    ('--table phone=phone.json --budgets phon=21',
     "unknown key 'phon' (did you mean 'phone'?); expected one of flops, "
     'phone'),
    ('--budgets flops=0.3,7', 'flops 7: expected a level that subnets reach; '
     'they cost 0.050288 to 0.91352'),
])
def test_bad_searches(refuse, words, folder, arguments, line, tmp_path):
    """Oracle: the field, its value and what was expected; results and bank of
    an earlier search stay."""
    for name in ('results.json', 'bank/bank.json'):
        (tmp_path / 'work' / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / 'work' / name).write_text('kept')
    shutil.copy(folder / 'phone.json', 'phone.json')
    table = json.loads((folder / 'phone.json').read_text())
    table['network']['type'] = 'pss.SlimmableMobileNetV2'
    (tmp_path / 'other.json').write_text(json.dumps(table))
    assert line in refuse(*words, '--out', 'work', *arguments.split())
    for name in ('results.json', 'bank/bank.json'):
        assert (tmp_path / 'work' / name).read_text() == 'kept'
    assert not (tmp_path / 'work' / 'search.jsonl').exists()


def space_of_others(state):
    state['state_dict'] = {
        name: value[:-1] if name == 'head.fc.weight' else value
        for name, value in state['state_dict'].items()
    }


def sampler_of_others(state):
    state['pss_pools'] = []


def widths_of_others(state):
    state['pss_pools'][0]['subnets'][0]['widths'][0] = 9


@pytest.mark.parametrize('change, line', [
    (space_of_others, 'head.fc.weight'),
    (sampler_of_others, 'the checkpoint has pools for nothing; expected flops'),
    (widths_of_others, 'widths[0]=9 is not in the space'),
])
def test_checkpoints_of_others(refuse, words, tmp_path, change, line):
    """Oracle: what does not fit, in one line."""
    state = torch.load(words[2], weights_only=True)
    change(state)
    torch.save(state, tmp_path / 'other.pth')
    assert line in refuse(*words[:2], 'other.pth', '--out', 'work')
    assert not (tmp_path / 'work' / 'search.jsonl').exists()


def test_a_config_of_the_grid(refuse, searchable, tmp_path, folder):
    """Oracle: the number of pools that a sampler without pools cannot have."""
    write_config(
        tmp_path / 'grid.json', searchable, **{
            'default_hooks.pss_sampler.sampler':
            dict(_delete_=True, type='pss.UniformSampler', mutual=True)
        })
    line = refuse(TOOL, 'grid.json', folder / 'checkpoint.pth', '--out', 'work')
    assert 'the checkpoint has 3 pools: another sampler' in line


def test_journals(refuse, call, words, searchable, tmp_path):
    """Oracle: a damaged one is an error that names file and line, and stays; as
    is one that cannot be written. Another checkpoint's is replaced."""
    text = (searchable.work / 'search.jsonl').read_text()
    path = tmp_path / 'work' / 'search.jsonl'
    path.parent.mkdir()
    damaged = text.replace('"hits": "', '"hits": "zz', 1)
    path.write_text(damaged)
    line = refuse(*words, '--out', 'work')
    assert 'work/search.jsonl: damaged in line 2' in line
    assert path.read_text() == damaged
    path.unlink()
    path.mkdir()
    line = refuse(*words, '--out', 'work')
    assert 'work/search.jsonl: is a folder' in line
    path.rmdir()
    state = torch.load(words[2], weights_only=True)
    state['state_dict']['head.fc.bias'] += 0.5
    torch.save(state, tmp_path / 'other.pth')
    path.write_text(text)
    code, said = call(TOOL, words[1], 'other.pth', '--out', 'work', *QUICK)
    assert code == 0, said
    assert path.read_text().splitlines()[0] != text.splitlines()[0]
    assert len(path.read_text().splitlines()) < len(text.splitlines())


def test_an_evaluator_without_the_metric(refuse, words, tmp_path):
    """Oracle: the metric and the evaluator's; the search is not lost."""
    line = refuse(*words, '--out', 'work', *QUICK, 'test_cfg.metric=top2')
    assert "test_cfg.metric='top2': expected one of the evaluator's metrics, " \
        "['top1']" in line
    assert len(
        (tmp_path / 'work' / 'search.jsonl').read_text().splitlines()) > 5


def test_networks_that_are_no_supernets(refuse, words, device, call, tmp_path):
    """Oracle: the field that the config of an exported subnet lacks."""
    out, _ = device
    code, text = call('deployment/export_subnet.py', out / 'bank', '--budget',
                      'flops=0.12', '--format', 'torch', '--out',
                      tmp_path / 'exports')
    assert code == 0, text
    config, = (tmp_path / 'exports').glob('*.py')
    line = refuse(TOOL, config, config.with_suffix('.pth'), '--out', 'work')
    assert 'default_hooks.pss_sampler is missing' in line
