import os
import time

import pytest
import torch
from mmengine.config import Config
from torch import multiprocessing

from pss.cli import ask_first, join_processes, restarts
from pss.errors import InputError

from ..distributed import free_port, run_ranks

ENVIRONMENTS = {
    'pytorch':
    dict(
        RANK='{0}',
        LOCAL_RANK='{0}',
        WORLD_SIZE='2',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT='{1}'),
    'slurm':
    dict(
        SLURM_PROCID='{0}',
        SLURM_LOCALID='{0}',
        SLURM_NTASKS='2',
        SLURM_NODELIST='node[1-2]',
        MASTER_PORT='{1}'),
    'mpi':
    dict(
        OMPI_COMM_WORLD_RANK='{0}',
        OMPI_COMM_WORLD_LOCAL_RANK='{0}',
        OMPI_COMM_WORLD_SIZE='2',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT='{1}'),
}


def join(rank, launcher, port, folder):
    """One process of a launch: joins, and sums the ranks of all processes."""
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR'):
        os.environ.pop(name, None)
    os.environ.update({
        name: value.format(rank, port)
        for name, value in ENVIRONMENTS[launcher].items()
    })
    os.environ['PATH'] = f'{folder}:{os.environ["PATH"]}'
    os.environ['GLOO_SOCKET_IFNAME'] = 'lo'
    join_processes(
        Config(
            dict(
                launcher=launcher,
                env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=60)))))
    total = torch.tensor([rank + 1])
    torch.distributed.all_reduce(total)
    assert total == 3 and torch.distributed.get_backend() == 'gloo'
    assert os.environ['RANK'] == os.environ['LOCAL_RANK'] == str(rank)
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize('launcher', list(ENVIRONMENTS))
def test_processes_join_without_gpus(tmp_path, launcher):
    """Oracle: a sum over both processes, over gloo. Slurm's scontrol is a stub
    that names the first node."""
    (tmp_path / 'scontrol').write_text('#!/bin/sh\necho 127.0.0.1\necho two\n')
    (tmp_path / 'scontrol').chmod(0o755)
    context = multiprocessing.start_processes(
        join, (launcher, free_port(), str(tmp_path)),
        2,
        join=False,
        start_method='fork')
    end = time.monotonic() + 60
    while not context.join(timeout=1.):
        assert time.monotonic() < end


@pytest.mark.parametrize('launcher, missing', [('pytorch', 'RANK'),
                                               ('slurm', 'SLURM_PROCID'),
                                               ('mpi', 'OMPI_COMM_WORLD_RANK')])
def test_a_launcher_that_did_not_launch(monkeypatch, launcher, missing):
    """Oracle: the message names the launcher and the missing variable."""
    monkeypatch.delenv(missing, raising=False)
    with pytest.raises(InputError, match=f'--launcher={launcher}.*{missing}'):
        join_processes(Config(dict(launcher=launcher)))


def test_a_first_node_that_is_not_found(monkeypatch):
    """Oracle: the message names what is missing."""
    for name, value in ENVIRONMENTS['slurm'].items():
        monkeypatch.setenv(name, value.format(0, 29500))
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    monkeypatch.setenv('PATH', '')
    with pytest.raises(InputError, match='MASTER_ADDR'):
        join_processes(Config(dict(launcher='slurm')))


def agree(rank):
    """Restarts that only the second node counted; answers of the first
    process."""
    os.environ['TORCHELASTIC_RESTART_COUNT'] = str(rank * 3)

    def fail():
        raise InputError(f'said by {rank}')

    with pytest.raises(InputError, match='said by 0'):
        ask_first(fail)
    return restarts(), ask_first(lambda: f'found by {rank}')


def test_processes_agree(tmp_path):
    """Oracle: the larger number of restarts; the first process's answer, and
    its error."""
    assert run_ranks(2, tmp_path, agree) == [(3, 'found by 0')] * 2
