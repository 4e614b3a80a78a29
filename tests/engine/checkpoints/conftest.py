"""Shared by the tests of checkpoints."""

import torch


def save(path, **content):
    """Writes a checkpoint of these entries; returns its path."""
    torch.save(content, path)
    return path
