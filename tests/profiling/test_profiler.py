import time

import numpy as np
import pytest
import torch
from torch import nn

from pss.errors import InputError
from pss.profiling.profiler import Profiler
from pss.resources import Timing, reachable_blocks


@pytest.mark.parametrize('backend', ['torch', 'onnxruntime'])
def test_blocks_and_subnets_compute_the_supernet(supernet, backend,
                                                 monkeypatch):
    """Oracle: the supernet at the subnet, part by part, at the requested batch
    size: what is measured is what is used."""
    supernet.eval()
    profiler = Profiler(supernet, backend=backend, batch_size=2)
    seen = []
    ready = profiler._ready

    def spy(module, images):
        seen.append((module, images))
        return ready(module, images)

    monkeypatch.setattr(profiler, '_ready', spy)
    found = reachable_blocks(supernet)
    for i in np.random.default_rng(0).choice(len(found), 12, replace=False):
        key = list(found)[i]
        position, subnet = found[key]
        run = profiler.block(key, position, subnet)
        out = _first(run(), backend)
        _, images = seen[-1]
        assert len(images) == 2 and images.shape[1] == key.cin
        supernet.switch_to(subnet)
        with torch.no_grad():
            wanted = supernet.blocks()[position].module(images)
        torch.testing.assert_close(out, wanted, rtol=1e-3, atol=1e-4)
    subnet = supernet.search_space.smallest
    out = _first(profiler.subnet(subnet)(), backend)
    module, images = seen[-1]
    assert not any('Slimmable' in type(m).__name__ for m in module.modules()
                   if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)))
    supernet.switch_to(subnet)
    with torch.no_grad():
        torch.testing.assert_close(out, supernet(images), rtol=1e-3, atol=1e-4)


def _first(out, backend):
    if backend == 'torch':
        return out
    return torch.from_numpy(out.get_outputs()[0].numpy())


def test_measure(supernet):
    """Oracle: a run that sleeps for 5 ms."""
    profiler = Profiler(supernet, min_run_time=0.05)
    calls = []

    def run():
        calls.append(1)
        time.sleep(0.005)

    timing = profiler.measure(run)
    assert 5000 <= timing.latency < 20_000
    assert timing.spread >= 0
    assert 5 <= timing.runs < len(calls)  # the others are the warm-up


def test_median_of_rounds():
    """Oracle: by hand."""
    rounds = [Timing(10., 1., 5), Timing(30., 2., 4), Timing(12., 9., 3)]
    assert Timing.median(rounds) == Timing(12., 20., 12)


@pytest.mark.parametrize('arguments, words', [
    (dict(backend='onnxruntime', dtype='bfloat16'), "dtype='bfloat16'"),
    pytest.param(
        dict(device='cuda'),
        "device='cuda'",
        marks=pytest.mark.skipif(
            torch.cuda.is_available(), reason='there is a GPU')),
])
def test_what_is_not_available(supernet, arguments, words):
    """Oracle: the field is in the message."""
    with pytest.raises(InputError, match=words):
        Profiler(supernet, **arguments)


def test_conditions(supernet):
    """Oracle: the arguments of the profiler."""
    profiler = Profiler(supernet, threads=2, batch_size=3, dtype='bfloat16')
    found = profiler.conditions
    assert (found['threads'], found['batch_size'], found['dtype'],
            found['device'], found['backend']) == (2, 3, 'bfloat16', 'cpu',
                                                   'torch')
    assert found['network']['type'] == 'SlimmableMobileNetV2'
    assert found['device_name'] and found['versions']['torch']
    key, (position, subnet) = next(iter(reachable_blocks(supernet).items()))
    assert profiler.block(key, position, subnet)().dtype == torch.bfloat16


@pytest.mark.gpu
def test_on_a_gpu(supernet):
    """Oracle: a larger batch of a larger subnet takes longer."""
    supernet.eval()
    space = supernet.search_space
    small, large = (profiler.measure(profiler.subnet(subnet)).latency
                    for profiler, subnet in (
                        (Profiler(supernet, device='cuda'), space.smallest),
                        (Profiler(supernet, device='cuda', batch_size=512),
                         space.largest)))
    assert 0 < small < large
