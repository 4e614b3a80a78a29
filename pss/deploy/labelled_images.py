"""The labelled images that a bank was tested on."""

import copy
from typing import Any, List, NamedTuple

import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS
from torch import Tensor

from ..errors import InputError, first_line
from ..registry import importing_nothing
from .bank import Bank
from .preprocessing import Preprocessing


class Labelled(NamedTuple):
    """Preprocessed images in batches ``(N, C, H, W)``, and their labels."""
    batches: List[Tensor]
    labels: Tensor


def labelled_images(bank: Bank,
                    preprocessing: Preprocessing,
                    num: int,
                    batch_size: int = 50) -> Labelled:
    """Evenly spaced test images.

    Args:
        bank: its ``testing`` names them.
        preprocessing: the bank's.
        num: how many, at most.
        batch_size: how many are in a batch.

    Raises:
        InputError: if the bank names none, they are not there, or an image has
            no label of its own.
    """
    config: Any = bank.testing.get('dataloader', {}).get('dataset')
    if config is None:
        raise InputError('the bank names no test images')
    try:
        with importing_nothing(), \
                DefaultScope.overwrite_default_scope('mmpretrain'):
            dataset = DATASETS.build(copy.deepcopy(config))
        num = min(num, len(dataset))
        rows = [dataset[i * len(dataset) // num] for i in range(num)]
        labels = [row['data_samples'].gt_label for row in rows]
    except Exception as error:  # datasets raise anything
        raise InputError('the test images that the bank names cannot be loaded '
                         f'({first_line(error)})') from None
    if any(label.numel() != 1 for label in labels):
        raise InputError('the test images have several labels each')
    images = [row['inputs'] for row in rows]
    return Labelled([
        preprocessing.batch(images[i:i + batch_size])
        for i in range(0, num, batch_size)
    ], torch.cat(labels))
