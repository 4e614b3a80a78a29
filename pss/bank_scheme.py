"""Lets MMEngine load weights from a bank: ``bank://FOLDER``.

For instance ``load_from='bank://work_dirs/demo/bank'``, or in the config of a
backbone ``init_cfg=dict(type='Pretrained',
checkpoint='bank://work_dirs/demo/bank', prefix='backbone.')``.

It is registered when ``pss`` is imported, and imports nothing of the package
before it is used.
"""

from typing import Any, Dict, Optional

from mmengine.runner import CheckpointLoader

SCHEME = 'bank://'


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_from_bank(filename: str,
                   map_location: Optional[str] = None) -> Dict[str, Any]:
    """Reads a bank as a checkpoint, see :func:`.bank_checkpoint`.

    Args:
        filename: ``bank://`` and the bank's folder.
        map_location: as for :func:`torch.load`.

    Raises:
        InputError: if the bank cannot be read.
    """
    from .deploy.bank_checkpoint import bank_checkpoint
    return bank_checkpoint(filename[len(SCHEME):], map_location)
