"""Supernets: slimmable layers, backbones, classifiers, BN calibration."""

from ..torchvision_ops import import_torchvision

import_torchvision()  # mmpretrain, below, imports it

from .backbones import (  # noqa: E402
    SlimmableMobileNetV1,
    SlimmableMobileNetV2,
    SlimmableResNet,
)
from .calibration import calibrate  # noqa: E402
from .classifiers import ResizedClassifier, SupernetClassifier  # noqa: E402
from .layers import (  # noqa: E402
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    SlimmableGroupNorm,
    SlimmableLinear,
)
from .narrowing import narrow  # noqa: E402
from .wrappers import SupernetDistributedDataParallel  # noqa: E402

__all__ = [
    'ResizedClassifier', 'SlimmableBatchNorm2d', 'SlimmableConv2d',
    'SlimmableGroupNorm', 'SlimmableLinear', 'SlimmableMobileNetV1',
    'SlimmableMobileNetV2', 'SlimmableResNet', 'SupernetClassifier',
    'SupernetDistributedDataParallel', 'calibrate', 'narrow'
]
