"""Slimmable backbones: other projects' classes with slimmable layers."""

from .slimmable_mobilenet_v2 import SlimmableMobileNetV2

__all__ = ['SlimmableMobileNetV2']
