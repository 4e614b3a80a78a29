"""Lets MMEngine load weights from a bank: ``bank://FOLDER``.

``load_from='bank://work_dirs/demo/bank'``, or in a backbone's config
``init_cfg=dict(type='Pretrained', checkpoint='bank://work_dirs/demo/bank',
prefix='backbone.')``.
"""

from typing import Any, Dict, Optional

from mmengine.runner import CheckpointLoader

SCHEME = 'bank://'


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_from_bank(filename: str,
                   map_location: Optional[str] = None) -> Dict[str, Any]:
    """A bank as a checkpoint.

    The running statistics are the largest subnet's; those of every kept subnet
    stand beside the weights, see :mod:`pss.models.backbones.loading`.

    Args:
        filename: ``bank://`` and the bank's folder.
        map_location: as for :func:`torch.load`.

    Raises:
        InputError: for a bank that is not whole.
    """
    from .deploy.bank_checkpoint import bank_checkpoint  # only when it is used
    return bank_checkpoint(filename[len(SCHEME):], map_location)
