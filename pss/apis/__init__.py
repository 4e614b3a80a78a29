"""What a script or a notebook imports."""

from .adaptive import AdaptiveClassifier
from .checkpoint import (
                         check_checkpoint,
                         read_checkpoint,
                         read_checkpoint_data,
                         save_checkpoint,
)
from .cli import (
                         add_arguments,
                         join_processes,
                         keep_testing,
                         merge_arguments,
                         run,
                         verify_config,
)
from .model import calibration_images, init_model, load_config, model_config

__all__ = [
    'AdaptiveClassifier', 'add_arguments', 'calibration_images', 'check_checkpoint', 'init_model',
    'join_processes', 'keep_testing', 'load_config', 'merge_arguments', 'model_config',
    'read_checkpoint', 'read_checkpoint_data', 'run', 'save_checkpoint',
    'verify_config'
]
