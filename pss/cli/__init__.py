"""Shared by the command-line tools: arguments, checks, launching, failures."""

from .arguments import merge_arguments, merge_options, mix_precision
from .checks import check_integers, check_numbers, check_seed
from .inspecting import build_inspected, inspect_data
from .processes import ask_first, join_processes, launched_at, restarts
from .running import run
from .verifying import strip_training, verify_config

__all__ = [
    'ask_first', 'build_inspected', 'check_integers', 'check_numbers',
    'check_seed', 'inspect_data', 'join_processes', 'launched_at',
    'merge_arguments', 'merge_options', 'mix_precision', 'restarts', 'run',
    'strip_training', 'verify_config'
]
