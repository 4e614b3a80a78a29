"""Joining the processes of a launch, and agreeing with them."""

import os
import subprocess
import time
from datetime import timedelta
from typing import Any, Callable, Dict, List

import torch
from mmengine.config import Config
from mmengine.dist import (
    all_reduce,
    broadcast_object_list,
    get_rank,
    init_dist,
    is_distributed,
)
from mmengine.utils.dl_utils import set_multi_processing

from pss_command.arguments import LAUNCHERS

from ..errors import InputError


def join_processes(cfg: Config) -> None:
    """Joins the other processes of a launch.

    With GPUs, MMEngine does so, over NCCL or the backend in the config. It
    requires a GPU, so without one the processes join over gloo here.

    Raises:
        InputError: if a variable of the launcher is missing.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or is_distributed():
        return
    for name in LAUNCHERS[launcher]:
        if name not in os.environ:
            raise InputError(
                f'--launcher={launcher}: the environment has no {name}, so '
                f'this process was not started by {launcher}; start it with '
                'tools/dist_train.sh or tools/slurm_train.sh')
    env_cfg = cfg.get('env_cfg', {})
    options = dict(env_cfg.get('dist_cfg', {}))
    # as Runner does before it joins
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    if torch.cuda.is_available():
        init_dist(launcher, **options)
        return
    os.environ.update(_place(launcher, options))
    timeout: Dict[str, Any] = {}  # torch 2.1 does not accept None
    if 'timeout' in options:
        timeout['timeout'] = timedelta(seconds=options['timeout'])
    torch.distributed.init_process_group('gloo', **timeout)


def leave_processes() -> None:
    """Destroys the process group, if there is one."""
    if is_distributed():
        # torch up to 2.6 waits for ever if gloo's threads are still giving
        # back tensors of the last collective, for which they need the GIL
        time.sleep(0.1)
        torch.distributed.destroy_process_group()


def restarts() -> int:
    """How often torchrun has restarted the processes of this run.

    Each node only counts its own, so this is the maximum over all.
    """
    count = torch.tensor(int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)))
    all_reduce(count, 'max')
    return int(count)


def launched_at() -> float:
    """When ``tools/dist_train.sh`` started this process, in seconds since
    1970; 0 if it did not."""
    return float(os.environ.get('PSS_LAUNCHED_AT', 0))


def ask_first(question: Callable[[], Any]) -> Any:
    """Asks a question in the first process, and returns its answer in all.

    Processes could disagree about files, which one node may see before
    another.

    Raises:
        InputError: in all processes, if the question does in the first.
    """
    answer: List[Any] = [None, None]
    if get_rank() == 0:
        try:
            answer[0] = question()
        except InputError as error:
            answer[1] = str(error)
    broadcast_object_list(answer)
    if answer[1] is not None:
        raise InputError(answer[1])
    return answer[0]


def _place(launcher: str, options: Dict[str, object]) -> Dict[str, str]:
    """The environment variables that torch reads, from the launcher's."""
    place = {
        ours: os.environ[theirs]
        for ours, theirs in zip(LAUNCHERS['pytorch'], LAUNCHERS[launcher])
    }
    if launcher == 'pytorch':
        return place
    place['MASTER_PORT'] = str(
        options.get('port') or os.environ.get('MASTER_PORT', '29500'))
    if 'MASTER_ADDR' not in os.environ:
        place['MASTER_ADDR'] = _first_node(launcher)
    return place


def _first_node(launcher: str) -> str:
    """The address of a launch's first node."""
    nodes = os.environ.get('SLURM_NODELIST')
    if launcher == 'slurm' and nodes:
        try:
            found = subprocess.run(['scontrol', 'show', 'hostname', nodes],
                                   capture_output=True,
                                   text=True,
                                   check=True)
            return found.stdout.split()[0]
        except (OSError, subprocess.CalledProcessError, IndexError):
            pass
    raise InputError(f'--launcher={launcher}: MASTER_ADDR is not set, and the '
                     'address of the first node could not be found')
