"""Shared by the tests of latency tables."""

from collections import Counter

import pytest
import torch

from pss.models import SupernetClassifier
from pss.profiling.profiler import Profiler

from ..building import classifier_config


class Counting(Profiler):
    """A profiler that counts its measurements, and can be stopped after
    some."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, min_run_time=1e-4, **kwargs)
        self.measured = Counter()
        self.stop_after = 10**9

    def block(self, key, *args):
        if self.measured.total() >= self.stop_after:
            raise KeyboardInterrupt
        self.measured[key] += 1
        return super().block(key, *args)


@pytest.fixture
def model():
    """A supernet with few blocks."""
    torch.manual_seed(0)
    config = classifier_config(
        search_space=dict(multipliers=(0.95, 1.), resolutions=[16, 32]))
    config.pop('type')
    return SupernetClassifier(**config).eval()
