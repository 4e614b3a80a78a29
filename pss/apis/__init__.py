"""What scripts and notebooks import.

- :func:`.load_config` reads a config, and imports the modules it names
- :func:`.init_model` builds a config's supernet, with a checkpoint's weights
- :func:`.build_runner` builds a config's runner, which trains and tests
- :func:`.find_checkpoint` finds the newest complete checkpoint in a work
  directory
- :func:`.feature_channels` returns the channels of a backbone's features, for
  a neck
- :func:`.read_bank` reads and checks a bank of trained subnets
- :class:`.AdaptiveClassifier` runs a bank's subnets, and switches between them
- :class:`.AdaptiveInferencer` does the same, called as mmpretrain's inferencer
  is
- :class:`.AdaptiveDetector` does the same for a bank of an MMDetection detector
- :class:`.Exporter` writes a bank's subnets for PyTorch, ONNX Runtime or
  TorchScript
- :class:`.DeviceExporter` writes all of them for devices without PyTorch, over
  one file of weights

All of them raise :class:`.InputError`, with a message of one line,
for a bad config, file or argument. What subnets, pools and resources are made
of is in :mod:`pss.structures`, :mod:`pss.sampling` and :mod:`pss.resources`.
"""

from ..config import build_runner, feature_channels, load_config
from ..deploy.bank_reading import read_bank
from ..deploy.device_bank import DeviceExporter
from ..deploy.exporter import Exporter
from ..engine.checkpoints import find_checkpoint
from .adaptive_classifier import AdaptiveClassifier
from .adaptive_detector import AdaptiveDetector
from .adaptive_inferencer import AdaptiveInferencer
from .model import init_model

__all__ = [
    'AdaptiveClassifier', 'AdaptiveDetector', 'AdaptiveInferencer',
    'DeviceExporter', 'Exporter', 'build_runner', 'feature_channels',
    'find_checkpoint', 'init_model', 'load_config', 'read_bank'
]
