"""What a script or a notebook imports."""

from ..cli.arguments import (
    check_integers,
    check_numbers,
    check_out,
    check_out_folder,
    check_report,
    check_seed,
)
from ..cli.processes import ask_first, join_processes, launched_at, restarts
from ..cli.running import (
    add_arguments,
    add_options,
    keep_testing,
    merge_arguments,
    merge_options,
    mix_precision,
    run,
    verify_config,
)
from ..config.checks import TESTING, TRAINING, need_fields
from ..deploy.exporter import (
    Exporter,
    check_export,
    checkpoint_bytes,
    config_text,
    largest_difference,
    parse_budget,
    write_config,
    write_model_index,
)
from ..engine.checkpoints.newest import find_checkpoint
from ..engine.checkpoints.reading import (
    check_checkpoint,
    read_checkpoint,
    read_checkpoint_data,
    save_checkpoint,
)
from ..engine.runner.building import build_runner
from .adaptive_classifier import AdaptiveClassifier
from .adaptive_detector import (
    AdaptiveDetector,
    check_detector,
    feature_channels,
    raw_outputs,
)
from .model import (
    calibration_images,
    config_resources,
    init_model,
    load_config,
    model_config,
)

__all__ = [
    'AdaptiveClassifier', 'AdaptiveDetector', 'Exporter', 'TESTING', 'TRAINING',
    'add_arguments', 'add_options', 'ask_first', 'build_runner',
    'calibration_images', 'check_checkpoint', 'check_detector', 'check_export',
    'check_integers', 'check_numbers', 'check_out', 'check_out_folder',
    'check_report', 'check_seed', 'checkpoint_bytes', 'config_resources',
    'config_text', 'feature_channels', 'find_checkpoint', 'init_model',
    'join_processes', 'keep_testing', 'largest_difference', 'launched_at',
    'load_config', 'merge_arguments', 'merge_options', 'mix_precision',
    'model_config', 'need_fields', 'parse_budget', 'raw_outputs',
    'read_checkpoint', 'read_checkpoint_data', 'restarts', 'run',
    'save_checkpoint', 'verify_config', 'write_config', 'write_model_index'
]
