"""Joining the other processes of a launch, and leaving them."""

import os
import subprocess
from datetime import timedelta
from typing import Dict

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_distributed
from mmengine.utils.dl_utils import set_multi_processing

from ..errors import InputError

# For each launcher, where torch's names for rank, number of processes and rank
# on the node come from.
NAMES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE',
            'OMPI_COMM_WORLD_LOCAL_RANK'),
}


def join_processes(cfg: Config) -> None:
    """Joins the other processes of a launch: over NCCL, or what the config
    says, with GPUs; over gloo without.

    MMEngine does the first; it asks for a GPU.

    Raises:
        InputError: if the launcher left no word of a process's place.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or is_distributed():
        return
    for name in NAMES[launcher]:
        if name not in os.environ:
            raise InputError(
                f'--launcher={launcher}: the environment has no {name}, so '
                f'this was not started by {launcher}; tools/dist_train.sh and '
                'tools/slurm_train.sh start it')
    env_cfg = cfg.get('env_cfg', {})
    options = dict(env_cfg.get('dist_cfg', {}))
    # as Runner does before it joins
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    if torch.cuda.is_available():
        init_dist(launcher, **options)
        return
    os.environ.update(_place(launcher, options))
    timeout = {'timeout': timedelta(seconds=options['timeout'])} \
        if 'timeout' in options else {}
    torch.distributed.init_process_group('gloo', **timeout)


def leave_processes() -> None:
    """Says goodbye to the other processes, if there are any."""
    if is_distributed():
        torch.distributed.destroy_process_group()


def _place(launcher: str, options: Dict[str, object]) -> Dict[str, str]:
    """What torch reads from the environment, by name."""
    place = {ours: os.environ[theirs] for ours, theirs
             in zip(NAMES['pytorch'], NAMES[launcher])}
    if launcher == 'pytorch':
        return place
    place['MASTER_PORT'] = str(options.get('port') or os.environ.get(
        'MASTER_PORT', '29500'))
    if 'MASTER_ADDR' not in os.environ:
        place['MASTER_ADDR'] = _first_node(launcher)
    return place


def _first_node(launcher: str) -> str:
    nodes = os.environ.get('SLURM_NODELIST')
    if launcher == 'slurm' and nodes:
        try:
            found = subprocess.run(['scontrol', 'show', 'hostname', nodes],
                                   capture_output=True, text=True, check=True)
            return found.stdout.split()[0]
        except (OSError, subprocess.CalledProcessError, IndexError):
            pass
    raise InputError(f'--launcher={launcher}: MASTER_ADDR is not set, and the '
                     'address of the first node could not be found')
