"""What a script or a notebook imports."""

from .checkpoint import (
    check_checkpoint,
    read_checkpoint,
    read_checkpoint_data,
    save_checkpoint,
)
from .cli import (
    add_arguments,
    add_options,
    join_processes,
    merge_arguments,
    merge_options,
    run,
    verify_config,
)
from .model import (
    calibration_images,
    config_resources,
    init_model,
    load_config,
    model_config,
)

__all__ = [
    'add_arguments', 'add_options', 'calibration_images', 'check_checkpoint',
    'config_resources', 'init_model',
    'join_processes', 'load_config', 'merge_arguments', 'merge_options',
    'model_config',
    'read_checkpoint', 'read_checkpoint_data', 'run', 'save_checkpoint',
    'verify_config'
]
