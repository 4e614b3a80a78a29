"""Slimmable backbones: other projects' classes with slimmable layers."""

from .channel_sorting import sort_channels
from .converted_backbone import slimmable_backbone
from .slimmable_backbone import SlimmableBackbone
from .slimmable_mobilenet_v1 import SlimmableMobileNetV1
from .slimmable_mobilenet_v2 import SlimmableMobileNetV2
from .slimmable_resnet import SlimmableResNet

__all__ = [
    'SlimmableBackbone', 'SlimmableMobileNetV1', 'SlimmableMobileNetV2',
    'SlimmableResNet', 'slimmable_backbone', 'sort_channels'
]
