"""The scripts that launch training and testing in several processes."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from ..distributed import free_port
from ..paths import ROOT
from .conftest import options


@pytest.fixture
def environment():
    """What a launch on one machine needs: a free port, and loopback."""
    kept = {k: v for k, v in os.environ.items() if k != 'VIRTUAL_ENV'}
    return dict(
        kept,
        PORT=str(free_port()),
        OMP_NUM_THREADS='1',
        PYTHON=sys.executable,
        GLOO_SOCKET_IFNAME='lo')


def test_two_nodes_test_as_one(small, checkpoint, tiny_fashion_mnist, tmp_path,
                               environment):
    """Oracle: the exit statuses; all of the 30 test images, sharded unevenly
    (SubnetAccuracy counts them); the pools of the checkpoint. Two launches,
    each with one process. tests/stress/test_elastic.py trains this way."""
    nodes = [
        subprocess.Popen([
            'bash', 'tools/dist_test.sh', small, checkpoint, '1', '--work-dir',
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
    """Oracle: the words that mmpretrain's scripts pass to srun; those that a
    stub of srun received. Joining under Slurm: tests/cli/test_processes.py."""
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
    """Oracle: the first interpreter with torch; none is on the path here, so
    the one in .venv, or none."""
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
