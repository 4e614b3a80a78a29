"""Supernets for classification, and the classifiers their subnets become."""

from .distillation import AlphaDivergence, KLDivergence
from .resized_classifier import ResizedClassifier
from .supernet_classifier import SupernetClassifier

__all__ = [
    'AlphaDivergence', 'KLDivergence', 'ResizedClassifier', 'SupernetClassifier'
]
