"""Arguments that several tools have.

Tools parse their arguments before they import ``pss``, so that ``--help`` and a
mistake in the arguments are answered at once. Of other packages this needs
``mmengine.config``, which imports no torch.
"""

import argparse
from typing import Any, Optional

from mmengine.config import DictAction

from .errors import printable

# For each launcher, by mmpretrain's name, the environment variables that hold
# rank, number of processes and rank on the node.
LAUNCHERS = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE',
            'OMPI_COMM_WORLD_LOCAL_RANK'),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of both training and testing, which are mmpretrain's.
    """
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='enable automatic mixed precision, in evaluation too (float16 on '
        'a GPU, bfloat16 on a CPU, unless the config names a type)')
    parser.add_argument(
        '--no-pin-memory',
        action='store_true',
        help='disable the pin_memory option of data loaders')
    add_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', *LAUNCHERS],
        default='none',
        help='job launcher')
    # torch.distributed.launch passes --local-rank
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


class _Options(DictAction):
    """MMEngine's action for ``KEY=VALUE``, with an error for malformed
    words."""

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: Any,
                 option_string: Optional[str] = None) -> None:
        """Parses the words after the option.

        Raises:
            ArgumentError: for one that is not ``KEY=VALUE``.
        """
        for word in values:
            name, _, value = word.partition('=')
            if not value or not all(name.split('.')) or \
                    set(name) & set('[](){} '):
                raise argparse.ArgumentError(
                    self, f'{_shortened(repr(word))}: expected KEY=VALUE, such '
                    'as train_cfg.max_epochs=3, param_scheduler.0.end=50 or '
                    'default_scope=None')
            try:
                super().__call__(parser, namespace, [word], option_string)
            except Exception as error:
                reason = _shortened(f'{type(error).__name__}: {error}', 500)
                raise argparse.ArgumentError(
                    self,
                    f'{_shortened(repr(word))}: {printable(reason)}') from None


def _shortened(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f'{text[:longest - 3]}...'


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        help='override fields of the config, such as '
        'train_cfg.max_epochs=3. A list is written key="[a,b]" or key=a,b; '
        'lists and tuples can be nested, as in key="[(a,b),(c,d)]". The '
        'quotation marks are necessary, and spaces are not allowed.')
