"""Supernets: slimmable layers, backbones, classifiers, BN calibration."""

from ..torchvision_ops import import_torchvision

import_torchvision()  # mmpretrain, below, imports it

from .backbones import SlimmableMobileNetV2  # noqa: E402
from .calibration import calibrate  # noqa: E402
from .classifiers import SupernetClassifier  # noqa: E402
from .layers import (  # noqa: E402
                     SlimmableBatchNorm2d,
                     SlimmableConv2d,
                     SlimmableGroupNorm,
                     SlimmableLinear,
)
from .wrappers import SupernetDistributedDataParallel  # noqa: E402

__all__ = [
    'SlimmableBatchNorm2d', 'SlimmableConv2d', 'SlimmableGroupNorm',
    'SlimmableLinear', 'SlimmableMobileNetV2', 'SupernetClassifier',
    'SupernetDistributedDataParallel', 'calibrate'
]
