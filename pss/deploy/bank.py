"""The subnet bank: a supernet's weights once, and what each kept subnet adds.

:mod:`.bank_format` describes its files, which :func:`.write_bank` writes and
:func:`.read_bank` reads.
"""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..errors import InputError
from ..models.classifiers.supernet_classifier import Statistics
from ..structures import Subnet


@dataclass(frozen=True)
class KeptSubnet:
    """A subnet of a bank.

    Attributes:
        name: its pool's, such as ``flops 150``; or ``largest``, ``smallest``.
        subnet: its resolution and widths.
        costs: in every resource, in the resource's unit.
        held_out_accuracy: on images held out from the training set, by which it
            was chosen; in percent if the bank's metric is.
        test_accuracy: on the test images; ``None`` if it was not tested.
        resource, level: its pool's, ``None`` for the ends of the space.
        standard_error: of the held-out accuracy; ``None`` if it is not known.
    """
    name: str
    subnet: Subnet
    costs: Mapping[str, float] = field(hash=False)
    held_out_accuracy: float
    test_accuracy: Optional[float] = None
    resource: Optional[str] = None
    level: Optional[float] = None
    standard_error: Optional[float] = None


@dataclass(frozen=True)
class Bank:
    """The contents of a bank.

    Attributes:
        model: config of the supernet, including its ``data_preprocessor``.
        classes: their names, or ``None``.
        pipeline: configs of the transforms from an image file to the model's
            input.
        input_shape: of that input: channels, height, width.
        resources: the unit of every resource.
        metric: what the accuracies are, as the evaluator names it.
        kept: the smallest subnet, the best of every pool, the largest.
        weights: the model's state dict without batch-norm statistics.
        statistics: batch-norm statistics of each kept subnet.
        samples: a few outputs of ``pipeline``, ``(N, C, H, W)``.
        testing: configs of the dataloader and the evaluator that it was tested
            with, for exported networks; nothing here uses them.
        versions: of the packages that wrote it.
    """
    model: Dict[str, Any]
    classes: Optional[Tuple[str, ...]]
    pipeline: List[Dict[str, Any]]
    input_shape: Tuple[int, int, int]
    resources: Dict[str, str]
    metric: str
    kept: Tuple[KeptSubnet, ...]
    weights: Dict[str, Tensor]
    statistics: Dict[Subnet, Statistics]
    samples: Tensor
    testing: Dict[str, Any] = field(default_factory=dict)
    versions: Dict[str, str] = field(default_factory=dict)

    def state_dict(self, subnet: Subnet) -> Dict[str, Tensor]:
        """The supernet's state dict, with the running statistics of a kept
        subnet."""
        state = dict(self.weights)
        for name, (mean, var) in self.statistics[subnet].items():
            state.update({
                f'{name}.running_mean': mean,
                f'{name}.running_var': var,
                f'{name}.num_batches_tracked': torch.tensor(0)
            })
        return state


def check_classes(classes: Optional[Sequence[str]], model: Dict[str, Any],
                  where: str) -> None:
    """Refuses fewer class names than a classifier has outputs.

    Raises:
        InputError: it names both numbers.
    """
    outputs = (model.get('head') or {}).get('num_classes')
    if classes is not None and outputs is not None and len(classes) < outputs:
        raise InputError(f'{where}: classes: {len(classes)} names, expected '
                         f'{outputs}, as many as model.head.num_classes')
