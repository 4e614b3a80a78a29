"""What is done to single images when they are loaded."""

from .deferred import (
    DeferredColorJitter,
    DeferredFlip,
    DeferredLighting,
    PackDeferred,
)
from .resized_crop import AntialiasedResizedCrop

__all__ = [
    'AntialiasedResizedCrop', 'DeferredColorJitter', 'DeferredFlip',
    'DeferredLighting', 'PackDeferred'
]
