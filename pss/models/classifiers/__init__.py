"""Supernets for classification, and what becomes of their subnets."""

from .resized_classifier import ResizedClassifier
from .supernet_classifier import SupernetClassifier

__all__ = ['ResizedClassifier', 'SupernetClassifier']
