"""Shared by the tests of training and evaluation."""

from pathlib import Path

import torch


def load(folder, name):
    """Loads a checkpoint of a run."""
    return torch.load(Path(folder) / name, weights_only=True)
