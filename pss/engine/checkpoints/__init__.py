"""Checkpoints: checked as they are read, and found again to resume from."""

from .newest import find_checkpoint
from .reading import (
    check_checkpoint,
    read_checkpoint,
    read_checkpoint_data,
    save_checkpoint,
)

__all__ = [
    'check_checkpoint', 'find_checkpoint', 'read_checkpoint',
    'read_checkpoint_data', 'save_checkpoint'
]
