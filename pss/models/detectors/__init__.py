"""Supernets for detection. MMDetection is imported when one is built."""

from .backbone_at_size import BackboneAtSize
from .resized_detector import ResizedDetector
from .supernet_detector import SupernetDetector

__all__ = ['BackboneAtSize', 'ResizedDetector', 'SupernetDetector']
