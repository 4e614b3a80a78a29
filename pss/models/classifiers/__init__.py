"""Supernets for classification, and the classifiers their subnets become."""

from .resized_classifier import ResizedClassifier
from .supernet_classifier import SupernetClassifier

__all__ = ['ResizedClassifier', 'SupernetClassifier']
