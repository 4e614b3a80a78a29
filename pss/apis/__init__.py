"""What a script or a notebook imports."""

from ..config import build_runner, feature_channels, load_config
from ..deploy.exporter import Exporter
from ..engine.checkpoints import find_checkpoint
from .adaptive_classifier import AdaptiveClassifier
from .adaptive_detector import AdaptiveDetector
from .model import init_model

__all__ = [
    'AdaptiveClassifier', 'AdaptiveDetector', 'Exporter', 'build_runner',
    'feature_channels', 'find_checkpoint', 'init_model', 'load_config'
]
