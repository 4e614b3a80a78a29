"""Lets ``torchvision`` import beside a CPU-only torch.

mmpretrain's transforms import torchvision. The wheels of some package indexes
are built for CUDA, and beside a CPU build of torch their compiled operators do
not load: ``import torchvision`` then stops at the missing schema of ``nms``.
Nothing here or in mmpretrain calls that operator, so declaring its schema is
enough. Where torch has CUDA, or torchvision imports as it is, nothing is done.
"""

import sys

import torch

_declared = []  # a torch.library.Library lives as long as it is referenced


def import_torchvision() -> None:
    """Imports torchvision beside a CPU-only torch, if need be with a schema of
    its detection operators."""
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
