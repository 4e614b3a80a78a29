"""Lets ``torchvision`` import beside a CPU-only torch.

mmpretrain's transforms import torchvision. Some package indexes only have
wheels built for CUDA, whose compiled operators do not load beside a CPU build
of torch: ``import torchvision`` then fails for lack of a schema of ``nms``.
Nothing here or in mmpretrain calls that operator, so declaring its schema is
enough. If torch has CUDA, or torchvision imports as it is, nothing is done.
"""

import sys
from typing import List

import torch

_declared: List[torch.library.Library] = []  # they live while referenced


def import_torchvision() -> None:
    """Imports torchvision beside a CPU-only torch, declaring the schemas of its
    detection operators if necessary."""
    if torch.version.cuda is not None or torch.version.hip is not None:
        return
    try:
        import torchvision
    except RuntimeError as error:
        if 'torchvision::nms does not exist' not in str(error):
            raise
        library = torch.library.Library('torchvision', 'DEF')
        for name in ('nms', 'qnms'):
            library.define(
                f'{name}(Tensor dets, Tensor scores, float iou_threshold)'
                ' -> Tensor')
        _declared.append(library)
        for name in list(sys.modules):
            if name.split('.')[0] == 'torchvision':
                del sys.modules[name]
        import torchvision  # noqa: F401
