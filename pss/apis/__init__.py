"""What a script or a notebook imports."""

from .checkpoint import check_checkpoint, read_checkpoint
from .cli import run
from .model import init_model

__all__ = ['check_checkpoint', 'init_model', 'read_checkpoint', 'run']
