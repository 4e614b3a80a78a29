"""Supernets: slimmable layers, backbones, classifiers, BN calibration."""

from .augmenting_preprocessor import AugmentingPreprocessor
from .backbones import (
    SlimmableBackbone,
    SlimmableMobileNetV1,
    SlimmableMobileNetV2,
    SlimmableResNet,
    slimmable_backbone,
    sort_channels,
)
from .calibration import calibrate
from .classifiers import ResizedClassifier, SupernetClassifier
from .detectors import BackboneAtSize, ResizedDetector, SupernetDetector
from .distributed import SupernetDistributedDataParallel
from .kept_network import KeptNetwork, SharedWeights, kept_network
from .layers import (
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    SlimmableGroupNorm,
    SlimmableLinear,
)
from .narrowing import narrow

__all__ = [
    'AugmentingPreprocessor', 'BackboneAtSize', 'KeptNetwork',
    'ResizedClassifier', 'ResizedDetector', 'SharedWeights',
    'SlimmableBackbone', 'SlimmableBatchNorm2d', 'SlimmableConv2d',
    'SlimmableGroupNorm', 'SlimmableLinear', 'SlimmableMobileNetV1',
    'SlimmableMobileNetV2', 'SlimmableResNet', 'SupernetClassifier',
    'SupernetDetector', 'SupernetDistributedDataParallel', 'calibrate',
    'kept_network', 'narrow', 'slimmable_backbone', 'sort_channels'
]
