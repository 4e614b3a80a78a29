"""Supernets for detection. MMDetection is imported when one is built."""

from .resized_detector import ResizedDetector
from .supernet_detector import SupernetDetector

__all__ = ['ResizedDetector', 'SupernetDetector']
