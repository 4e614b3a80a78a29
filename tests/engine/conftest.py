"""Shared by the tests of training and evaluation."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config


def load(folder, name):
    """Loads a checkpoint of a run."""
    return torch.load(Path(folder) / name, weights_only=True)


@pytest.fixture
def plain_configs(monkeypatch):
    """Switches off the formatting of configs for MMEngine's log, which takes as
    long as ten iterations here."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda self: ''))
