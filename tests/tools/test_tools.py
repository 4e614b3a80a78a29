"""The command-line tools, as a person calls them."""

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from pss.apis import init_model
from pss.resources import Latency, LatencyTable, Timing, reachable_blocks
from pss.structures import Subnet

from ..conftest import ROOT
from .conftest import DEMO, options

IMAGENET = ROOT / 'configs' / 'pss_mbv2_imagenet.py'


def test_training_that_diverges_exits_with_3(call, tiny_fashion_mnist,
                                             tmp_path):
    """Oracle: one line that names iteration, loss and subnet, and status 3;
    the pools can be drawn from the log that is left."""
    words = options(tiny_fashion_mnist, False, 27)
    words[words.index('optim_wrapper.optimizer.lr=0.01')] = \
        'optim_wrapper.optimizer.lr=1e30'
    code, out = call('train.py', DEMO, '--work-dir', tmp_path, '--no-validate',
                     *words, 'default_hooks.pool_log.interval=1')
    assert code == 3
    last = out.strip().splitlines()[-1]
    assert last.startswith('error: iteration 2: loss_largest=')
    assert 'Subnet(resolution=28' in last
    code, out = call('analysis_tools/plot_pools.py', tmp_path, '--out',
                     tmp_path / 'pools.png')
    assert code == 0 and (tmp_path / 'pools.png').is_file(), out
    code, out = call('analysis_tools/plot_pools.py', tmp_path / 'none.json')
    assert (code, out.count('\n')) == (2, 1) and 'none.json' in out


def test_test_writes_the_results(call, checkpoint, tiny_fashion_mnist,
                                 tmp_path):
    """Oracle: the documented form; a second run gives the same file."""
    arguments = ('test.py', DEMO, checkpoint, '--work-dir', tmp_path, '--out',
                 tmp_path / 'results.json')
    code, out = call(*arguments, *options(tiny_fashion_mnist, False))
    assert code == 0, out
    first = (tmp_path / 'results.json').read_text()
    results = json.loads(first)
    assert set(results) == {'resources', 'largest', 'smallest', 'pools'}
    assert results['resources'] == {'flops': 'MFLOPs'}
    for row in (results['largest'], results['smallest'], *results['pools']):
        assert set(row['subnet']) == {'resolution', 'widths'}
        assert 0 <= row['top1'] <= 100 and row['mflops'] > 8
    assert results['pools'][0]['resource'] == 'flops'
    assert (tmp_path / 'results.csv').is_file()
    assert (tmp_path / 'results.png').stat().st_size > 10_000
    last = out.strip().splitlines()
    assert last[-1].split()[0] == 'largest'
    code, _ = call(*arguments, *options(tiny_fashion_mnist, False))
    assert code == 0
    assert (tmp_path / 'results.json').read_text() == first


@pytest.mark.parametrize('network, mflops',
                         [('mbv1', (568.790528, 106.78272)),
                          ('mbv2', (300.836992, 69.150208)),
                          ('r50', (4089.284608, 759.484416))])
def test_imagenet_recipes_on_tiny_data(call, tiny_imagenet, tmp_path, network,
                                       mflops):
    """Oracle: two iterations on real JPEG files in ImageNet's layout, then
    validation and test, with the real config; the published FLOPs of the
    MobileNets, fvcore's of ResNet-50."""
    config = ROOT / 'configs' / f'pss_{network}_imagenet.py'
    small = options(tiny_imagenet, True, 11)
    code, out = call('train.py', config, '--work-dir', tmp_path, *small)
    assert code == 0, out[-3000:]
    assert 'Epoch(train) [1][2/2]' in out and 'largest/top5' in out
    code, out = call('test.py', config, tmp_path / 'epoch_1.pth', '--work-dir',
                     tmp_path, *small)
    assert code == 0, out[-3000:]
    results = json.loads((tmp_path / 'results.json').read_text())
    assert (results['largest']['mflops'],
            results['smallest']['mflops']) == mflops
    assert 1 <= len(results['pools']) <= 2


def test_arguments_of_mmpretrain(call, tiny_fashion_mnist, tmp_path):
    """Oracle: what each argument changes, in the log and the checkpoints."""
    small = options(tiny_fashion_mnist, False, 27)
    code, out = call('train.py', DEMO, '--work-dir', tmp_path, '--amp',
                     '--no-validate', '--auto-scale-lr', '--no-pin-memory',
                     '--no-persistent-workers', '--launcher', 'none', *small)
    assert code == 0, out[-3000:]
    assert 'Epoch(val)' not in out
    assert 'LR is set based on batch size of 128' in out
    code, out = call('train.py', DEMO, '--work-dir', tmp_path, '--resume',
                     *small, 'train_cfg.max_epochs=2')
    assert code == 0, out[-3000:]
    assert 'resumed epoch: 1' in out and 'Epoch(train) [2]' in out
    assert 'Epoch(train) [1]' not in out
    assert (tmp_path / 'epoch_2.pth').is_file()
    code, out = call('train.py', DEMO, '--work-dir', tmp_path, '--resume',
                     tmp_path / 'epoch_1.pth', *small)
    assert code == 0 and 'resumed epoch: 1' in out


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@pytest.fixture
def environment():
    """What a launch needs on one machine: a port of its own, and loopback."""
    kept = {k: v for k, v in os.environ.items() if k != 'VIRTUAL_ENV'}
    return dict(
        kept,
        PORT=str(free_port()),
        OMP_NUM_THREADS='1',
        PYTHON=sys.executable,
        GLOO_SOCKET_IFNAME='lo')


def test_two_nodes_test_as_one(checkpoint, tiny_fashion_mnist, tmp_path,
                               environment):
    """Oracle: the exit statuses; all of the 30 test images, sharded unevenly
    (SubnetAccuracy counts them); the pools of the checkpoint. Two launches,
    each with one process. Training so: tests/stress/test_elastic.py."""
    nodes = [
        subprocess.Popen([
            'bash', 'tools/dist_test.sh', DEMO, checkpoint, '1', '--work-dir',
            tmp_path, *options(tiny_fashion_mnist, False, 7)
        ],
                         cwd=ROOT,
                         env=dict(environment, NNODES='2', NODE_RANK=str(rank)),
                         stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT,
                         text=True) for rank in range(2)
    ]
    try:
        outputs = [node.communicate(timeout=300)[0] for node in nodes]
    finally:
        for node in nodes:
            node.terminate()
    assert [node.returncode for node in nodes] == [0, 0], outputs[0][-3000:]
    tested = json.loads((tmp_path / 'results.json').read_text())['pools']
    pools = torch.load(checkpoint, weights_only=True)['pss_pools']
    assert len(tested) == sum(bool(pool['subnets']) for pool in pools) > 0


def test_slurm_scripts(tmp_path, environment):
    """Oracle: the words that mmpretrain's scripts give srun; what a stand-in
    for srun got. Joining under Slurm: tests/apis/test_processes.py."""
    (tmp_path / 'srun').write_text('#!/bin/sh\necho "$MASTER_PORT" "$@"\n')
    (tmp_path / 'srun').chmod(0o755)
    environment.update(
        GPUS='16',
        SRUN_ARGS='--time 5',
        PORT='29501',
        PATH=f'{tmp_path}:{os.environ["PATH"]}')
    words = ('-p gpus --job-name=a_job {gres}--ntasks=16 --ntasks-per-node=8 '
             '--cpus-per-task=5 --kill-on-bad-exit=1 --time 5 '
             f'{sys.executable} -u {ROOT}/tools/')
    for script, gres, last in (('train', 'gpu:8',
                                'config.py --work-dir=there --launcher=slurm'),
                               ('train', '',
                                'config.py --work-dir=there --launcher=slurm'),
                               ('test', 'gpu:8',
                                'config.py there --launcher=slurm')):
        if not gres:
            environment['GRES'] = ''
        done = subprocess.run([
            'bash', ROOT / 'tools' / f'slurm_{script}.sh', 'gpus', 'a_job',
            'config.py', 'there', '--amp'
        ],
                              cwd=tmp_path,
                              env=environment,
                              capture_output=True,
                              text=True,
                              timeout=60)
        environment.pop('GRES', None)
        assert done.returncode == 0, done.stderr
        expected = words.format(gres=f'--gres={gres} ' if gres else '')
        assert done.stdout.strip() == \
            f'29501 {expected}{script}.py {last} --amp'


@pytest.mark.parametrize(
    'words, said',
    [(['dist_train.sh', 'config.py'], 'CONFIG and PROCESSES are needed'),
     (['dist_train.sh', 'config.py', '--resume'], "PROCESSES='--resume'"),
     (['dist_train.sh', 'config.py', '0'], "PROCESSES='0'"),
     (['dist_test.sh', 'config.py', '2'], 'CONFIG, CHECKPOINT and PROCESSES'),
     (['slurm_train.sh', 'gpus', 'a_job'], 'PARTITION, JOB_NAME, CONFIG'),
     (['slurm_test.sh'], 'PARTITION, JOB_NAME, CONFIG and CHECKPOINT')])
def test_launch_scripts_say_how_they_are_used(tmp_path, words, said):
    """Oracle: status 2, what is missing, and the usage; from any folder."""
    done = subprocess.run(['bash', ROOT / 'tools' / words[0], *words[1:]],
                          cwd=tmp_path,
                          capture_output=True,
                          text=True,
                          timeout=60)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].startswith('error: ') and said in lines[0]
    assert lines[1].startswith(f'Usage: bash tools/{words[0]}')


def test_launch_scripts_find_python(tmp_path):
    """Oracle: the first interpreter with torch; here none is on the path, so
    that of .venv or none."""
    (tmp_path / 'python').write_text('#!/bin/sh\nexit 1\n')
    (tmp_path / 'python').chmod(0o755)
    (tmp_path / 'python3').symlink_to('python')
    for tool in ('bash', 'dirname'):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    venv = ROOT / '.venv' / 'bin' / 'python'
    done = subprocess.run([
        'bash', '-c', f'source {ROOT}/tools/launching.sh; find_python; '
        'echo $PYTHON'
    ],
                          env=dict(PATH=str(tmp_path)),
                          capture_output=True,
                          text=True,
                          timeout=60)
    if venv.is_file():
        assert os.path.samefile(done.stdout.strip(), venv)
    else:
        assert done.returncode == 2 and 'set PYTHON' in done.stderr


def test_subnet_cost(call, tmp_path, reference_costs):
    """Oracle: the published costs, and fvcore's."""
    rows = reference_costs['mobilenet_v2']
    subnets = [{k: row[k] for k in ('resolution', 'widths')} for row in rows]
    source, out = tmp_path / 'subnets.json', tmp_path / 'out.json'
    source.write_text(json.dumps(subnets))
    code, _ = call('analysis_tools/subnet_cost.py', IMAGENET, source, '--out',
                   out)
    assert code == 0
    found = json.loads(out.read_text())
    assert found == [
        dict(s, mflops=row['mflops']) for s, row in zip(subnets, rows)
    ]
    source.write_text(json.dumps(found[:2]))  # what it wrote, it reads
    code, text = call('analysis_tools/subnet_cost.py', IMAGENET, source,
                      '--out', out, '--fvcore')
    assert code == 0
    for row in json.loads(out.read_text()):
        assert row['fvcore_mflops'] == row['mflops']
    assert 'largest difference from fvcore: 0 MFLOPs' in text


def test_sample_subnets(call, tmp_path, imagenet_flops):
    """Oracle: the level's range; the same seed draws the same."""
    out = tmp_path / 'out.json'
    arguments = ('analysis_tools/sample_subnets.py', IMAGENET, '--level', 90,
                 '--num', 500, '--seed', 3, '--out', out)
    code, text = call(*arguments)
    assert code == 0 and 'draws a second' in text
    rows = json.loads(out.read_text())
    assert len(rows) == 500 and all(85 <= r['mflops'] < 95 for r in rows)
    subnets = [Subnet(r['resolution'], tuple(r['widths'])) for r in rows]
    assert np.array_equal(
        imagenet_flops(imagenet_flops.space.encode(subnets)),
        [r['mflops'] for r in rows])
    call(*arguments)
    assert json.loads(out.read_text()) == rows


@pytest.fixture(scope='module')
def latency_table(imagenet_model, tmp_path_factory):
    """A table for MobileNetV2 with times in proportion to the work."""
    path = tmp_path_factory.mktemp('table') / 'phone.json'
    header = dict(
        version=1,
        unit='microseconds',
        scale=1.,
        device='cpu',
        network=dict(type='SlimmableMobileNetV2'),
        batch_size=1)
    LatencyTable(
        header, {
            key: Timing(5. + key.in_size**2 * key.cin * key.cout / 1e4)
            for key in reachable_blocks(imagenet_model)
        }).write(path)
    return path


def test_sample_subnets_of_a_latency(call, tmp_path, imagenet_model,
                                     latency_table):
    """Oracle: the table's own cost; by path and by the config's name."""
    cost = Latency(str(latency_table)).table(imagenet_model)
    space = cost.space
    middle = float(np.median(cost(space.enumerate())))
    config = ROOT / 'configs' / 'pss_mbv2_imagenet_cpu_latency.py'
    for field, arguments in (
        ('latency_us', (IMAGENET, '--latency-table', latency_table)),
        ('latency_cpu', (config, '--resource', 'latency_cpu', '--cfg-options',
                         'default_hooks.pss_sampler.'
                         f'resources.latency_cpu.table={latency_table}'))):
        code, out = call('analysis_tools/sample_subnets.py', *arguments,
                         '--level', middle, '--step', middle / 20, '--num', 50,
                         '--out', tmp_path / 'drawn.json')
        assert code == 0, out
        rows = json.loads((tmp_path / 'drawn.json').read_text())
        codes = space.encode(
            [Subnet(r['resolution'], tuple(r['widths'])) for r in rows])
        assert [r[field] for r in rows] == cost(codes).tolist()
        assert all(abs(r[field] - middle) <= middle / 40 for r in rows)
        assert all(r['mflops'] > 69 for r in rows)


@pytest.mark.parametrize('arguments, words', [
    (('--resource', 'latency_gpu', '--level', '5'), 'latency_gpu is not in'),
    (('--latency-table', 'none.json', '--level', '5', '--step', '1'),
     'none.json: no such file'),
    (('--latency-table', '{table}', '--level', '5'), '--step is missing'),
    (('--latency-table', '{table}', '--level', '5', '--step', '1'),
     "level=5 of 'latency_us'"),
])
def test_bad_resources_end_in_one_line(call, tmp_path, latency_table, arguments,
                                       words):
    """Oracle: one line with the words, status 2, no file."""
    arguments = [a.format(table=latency_table) for a in arguments]
    code, out = call('analysis_tools/sample_subnets.py', IMAGENET, *arguments,
                     '--out', tmp_path / 'drawn.json')
    assert code == 2 and words in out, out
    assert not (tmp_path / 'drawn.json').exists()


def test_build_latency_table_and_train(call, tiny_fashion_mnist, tmp_path):
    """Oracle: the demo of latencies on tiny data, as its make target runs it:
    table, training and testing; costs in the results equal the table's."""
    config = ROOT / 'configs' / 'pss_mbv2_fashion_mnist_latency.py'
    table = tmp_path / 'cpu.json'
    code, out = call('build_latency_table.py', config, '--batch-size', 32,
                     '--max-blocks', 20, '--rounds', 1, '--min-run-time', 0.001,
                     '--verify', 4, '--out', table)
    assert code == 0, out
    assert '222 blocks are interpolated' in out and 'rank correlation' in out
    more = [
        f'default_hooks.pss_sampler.resources.latency_cpu.table={table}',
        'default_hooks.pss_sampler.budgets.latency_cpu.pools=2'
    ]
    arguments = [*options(tiny_fashion_mnist, False), *more]
    code, out = call('train.py', config, '--work-dir', tmp_path, *arguments)
    assert code == 0, out
    assert '2 pools for latency_cpu:' in out and '5 pools for flops:' in out
    code, out = call('test.py', config, tmp_path / 'epoch_1.pth', '--work-dir',
                     tmp_path, '--out', tmp_path / 'r.json', *arguments)
    assert code == 0, out
    results = json.loads((tmp_path / 'r.json').read_text())
    assert results['resources'] == {'flops': 'MFLOPs', 'latency_cpu': 'us'}
    cost = Latency(str(table)).table(init_model(config))
    rows = [results['largest'], results['smallest'], *results['pools']]
    for row in rows:
        subnet = Subnet.from_dict(row['subnet'])
        codes = cost.space.encode([subnet])
        assert row['latency_cpu'] == pytest.approx(cost(codes)[0])
    for name in ('r.csv', 'r.png', 'r_latency_cpu.png'):
        assert (tmp_path / name).stat().st_size > 100
    assert 'latency_cpu (us)' in out


@pytest.mark.parametrize('arguments, words', [
    (('--batch-size', '0'), '--batch-size=0'),
    (('--threads', '0'), '--threads=0'),
    (('--max-blocks', '-1'), '--max-blocks=-1'),
    (('--min-run-time', '0'), '--min-run-time=0'),
    (('--verify', '2'), '--verify=2'),
    (('--rounds', '0'), '--rounds=0'),
])
def test_bad_arguments_of_build_latency_table(call, tmp_path, arguments, words):
    """Oracle: one line that names the argument and the value."""
    code, out = call('build_latency_table.py', DEMO, '--out',
                     tmp_path / 'table.json', *arguments)
    assert code == 2 and words in out, out
    assert len(out.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_plot_results(call, checkpoint, tiny_fashion_mnist, tmp_path):
    """Oracle: a PNG file from two results files."""
    row = dict(subnet=dict(resolution=24, widths=[24]), mflops=9., top1=80.)
    for name in 'ab':
        (tmp_path / f'{name}.json').write_text(
            json.dumps(dict(largest=row, smallest=row, pools=[])))
    code, _ = call('analysis_tools/plot_results.py', tmp_path / 'a.json',
                   tmp_path / 'b.json', '--out', tmp_path / 'plot.png')
    assert code == 0
    assert (tmp_path / 'plot.png').read_bytes()[:4] == b'\x89PNG'


@pytest.mark.parametrize(
    'arguments, words',
    [(('a.json', 'b.json', '--names', 'a', 'a'), "--names: 'a' appears twice"),
     (('a.json', 'b.json', '--names', 'a', ' '), "--names: ' ' cannot"),
     (('a.json', 'a.json'), 'a.json: is given twice'),
     (('a.json', './a.json', '--names', 'a', 'b'), 'is given twice'),
     (('a.json', 'b.json', '--out', 'b.json'), 'would overwrite b.json')])
def test_plot_results_of_files_that_are_mixed_up(call, tmp_path, monkeypatch,
                                                 arguments, words):
    """Oracle: one line that names what stands twice; no figure, and the files
    as they were."""
    monkeypatch.chdir(tmp_path)
    row = dict(subnet=dict(resolution=24, widths=[24]), mflops=9., top1=80.)
    text = json.dumps(dict(largest=row, smallest=row, pools=[]))
    for name in 'ab':
        (tmp_path / f'{name}.json').write_text(text)
    code, output = call('analysis_tools/plot_results.py', *arguments)
    assert code == 2 and words in output
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.json', 'b.json']
    assert (tmp_path / 'b.json').read_text() == text


def test_compare_results(call, tmp_path):
    """Oracle: the published figures' table; files of one name are averaged;
    names and levels that are wrong end in one line."""
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
                        (('--out', tmp_path / 'c.png'), 'end in .json')):
        more = more if '--out' in more else (*more, '--out', out)
        code, text = call(*arguments, *more)
        line = text.strip().splitlines()[-1]
        assert code == 2 and words in line


def test_rank_pools(call, checkpoint, tiny_fashion_mnist, tmp_path):
    """Oracle: the pools of the checkpoint, best score first; accuracies are
    the mean of two halves of five images each; status 2 without pools."""
    code, text = call('analysis_tools/rank_pools.py', DEMO, checkpoint,
                      '--work-dir', tmp_path, '--out', tmp_path / 'ranks.json',
                      '--draws', 2, *options(tiny_fashion_mnist, False))
    assert code == 0, text
    ranks = json.loads((tmp_path / 'ranks.json').read_text())
    pools = {
        p['level']: p['subnets']
        for p in torch.load(checkpoint, weights_only=True)['pss_pools']
        if p['subnets']
    }
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
            abs(row['mflops'] - pool['level']) <= 0.5 for row in pool['draws'])
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
    code, text = call('analysis_tools/rank_pools.py', DEMO,
                      tmp_path / 'bare.pth', '--work-dir', tmp_path,
                      *options(tiny_fashion_mnist, False))
    assert code == 2 and 'no pools' in text.strip().splitlines()[-1]


@pytest.mark.parametrize('subnet, words', [
    (dict(resolution=128, widths=[32]), ['1 entries', '8 widths']),
    (dict(resolution=130, widths=[32] * 8), ['resolution=130', '224']),
    (dict(resolution=128, widths=[32] * 8), ['widths[1]=32', '[16]']),
    (dict(resolution=128, widths=[32] * 8, w=1), ["'w'", 'resolution']),
])
def test_bad_subnets_end_in_one_line(call, tmp_path, subnet, words):
    """Oracle: status 2, one line, the field and its legal values in it, and
    no file written."""
    source = tmp_path / 'subnets.json'
    source.write_text(json.dumps([subnet]))
    code, out = call('analysis_tools/subnet_cost.py', IMAGENET, source, '--out',
                     tmp_path / 'out.json')
    line = out.strip().splitlines()[-1]
    assert code == 2 and line.startswith('error: ')
    assert all(word in line for word in (str(source), *words))
    assert 'Traceback' not in out
    assert not (tmp_path / 'out.json').exists()


def test_unreachable_level_ends_in_one_line(call, tmp_path):
    """Oracle: the published ends of the space in the message."""
    code, out = call('analysis_tools/sample_subnets.py', IMAGENET, '--level',
                     500, '--out', tmp_path / 'out.json')
    line = out.strip().splitlines()[-1]
    assert code == 2 and 'level=500' in line
    assert '69.1502 to 300.837' in line


@pytest.mark.parametrize('option, words', [
    ('default_hooks.pss_sampler.sampler.pool_sizes=3',
     "did you mean 'pool_size'"),
    ('default_hooks.pss_sampler.budgets.flops.step=0', 'step=0'),
    ('default_hooks.pss_sampler.budgets.flops.start=30', 'empty'),
    ('default_hooks.pss_sampler.budgets.flops.stop=40.5', 'level=21.5'),
    ('sync_bn=mmcv', "sync_bn='mmcv'"),
    ('train_dataloader.dataset.dataset.data_root=nowhere',
     "train_dataloader.dataset.dataset.data_root='nowhere'"),
])
def test_bad_configs_end_in_one_line(call, tiny_fashion_mnist, tmp_path, option,
                                     words):
    """Oracle: status 2, and field and value in the last line."""
    code, out = call('train.py', DEMO, '--work-dir', tmp_path,
                     *options(tiny_fashion_mnist, False), option)
    line = out.strip().splitlines()[-1]
    assert code == 2 and line.startswith('error: ') and words in line
    assert not list(tmp_path.glob('*.pth'))


def test_bad_checkpoints_end_in_one_line(call, checkpoint, tmp_path,
                                         tiny_fashion_mnist):
    """Oracle: status 2, and what is wrong in the last line; results of an
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
        code, out = call('test.py', DEMO, tmp_path / f'{name}.pth',
                         '--work-dir', tmp_path,
                         *options(tiny_fashion_mnist, False))
        line = out.strip().splitlines()[-1]
        assert code == 2 and line.startswith('error: ') and words in line
        assert (tmp_path / 'results.json').read_text() == 'kept'
    code, out = call('train.py', DEMO, '--work-dir', tmp_path, '--resume',
                     tmp_path / 'half.pth', *options(tiny_fashion_mnist, False))
    assert code == 2 and 'damaged' in out.strip().splitlines()[-1]


def test_fashion_mnist_converter(call, tmp_path, tiny_fashion_mnist):
    """Oracle: which files are missing, and where to put them; files that are
    not whole are refused."""
    code, out = call('dataset_converters/fashion_mnist.py', '--out',
                     tmp_path / 'out', '--source', tiny_fashion_mnist)
    line = out.strip().splitlines()[-1]
    assert code == 2 and 'train-images-idx3-ubyte' in line
    assert '--source FOLDER' in line
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('folder, reason', [('/sys/work', 'not permitted'),
                                            ('/proc/work', 'No such file'),
                                            ('{file}/work', 'Not a directory')])
def test_a_work_dir_that_cannot_be_written_to(call, tiny_fashion_mnist,
                                              tmp_path, folder, reason):
    """Oracle: the system's reason, in one line, before anything is built; the
    first two file systems refuse an administrator too."""
    (tmp_path / 'file').write_text('')
    folder = folder.format(file=tmp_path / 'file')
    code, out = call('train.py', DEMO, '--work-dir', folder,
                     *options(tiny_fashion_mnist, False))
    assert code == 2 and f"work_dir='{folder}': cannot be written to" in out
    assert reason in out and len(out.strip().splitlines()) == 1, out


def test_losses_that_are_not_finite_have_a_status(call, tiny_fashion_mnist,
                                                  tmp_path):
    """Oracle: status 3 and one line that names iteration and subnet."""
    code, out = call('train.py', DEMO, '--work-dir', tmp_path,
                     *options(tiny_fashion_mnist, False, 27),
                     'optim_wrapper.optimizer.lr=1e30')
    line = out.strip().splitlines()[-1]
    assert code == 3 and line.startswith('error: iteration ')
    assert 'Subnet(' in line


@pytest.mark.parametrize(
    'arguments, words',
    [(('--level', 'nan'), '--level=nan: expected'),
     (('--level', '15', '--step', 'inf'), '--step=inf: expected'),
     (('--level', '15', '--step', '0'), '--step=0.0: expected')])
def test_sample_subnets_of_no_level(call, tmp_path, arguments, words):
    """Oracle: argument and value in the message; an endless step would take
    the whole space for one level."""
    code, out = call('analysis_tools/sample_subnets.py', DEMO, *arguments,
                     '--out', tmp_path / 'subnets.json')
    assert code == 2 and words in out
    assert not list(tmp_path.iterdir())
