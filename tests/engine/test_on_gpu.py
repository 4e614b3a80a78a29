"""Training on a GPU."""

import copy
import math

import pytest
import torch

from pss.cli import mix_precision
from pss.engine import SandwichOptimWrapper
from pss.sampling import Pass

from ..training import batch, train

pytestmark = pytest.mark.gpu


def trained(model, device, amp=None, iterations=1):
    """A copy of a supernet after some iterations, and the last one's log."""
    model = copy.deepcopy(model).to(device).train()
    space = model.search_space
    wrapper = SandwichOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), amp=amp)
    wrapper.plan = (Pass('largest', space.largest),
                    Pass('sampled',
                         space.decode(space.enumerate()[[900]])[0]),
                    Pass('smallest', space.smallest))
    for i in range(iterations):
        log = model.train_step(batch(8, seed=i), wrapper)
    assert not wrapper.step_skipped
    return model, log


@pytest.mark.parametrize('memory_format',
                         ['contiguous_format', 'channels_last'])
def test_an_iteration_equals_the_cpus(supernet, exact, memory_format):
    """Oracle: the CPU, statistics of batch norms frozen: batch statistics would
    magnify rounding."""
    supernet.backbone.norm_eval = True
    supernet.memory_format = getattr(torch, memory_format)
    supernet.to(memory_format=supernet.memory_format)
    (wanted, expected), (found, log) = (
        trained(supernet, device) for device in ('cpu', 'cuda'))
    for name, value in expected.items():
        torch.testing.assert_close(log[name], value, atol=1e-4, rtol=1e-3)
    state = found.state_dict()
    assert all(value.is_cuda for value in state.values())
    for name, value in wanted.state_dict().items():
        torch.testing.assert_close(
            state[name].cpu(), value, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('amp', ['float16', 'bfloat16'])
def test_mixed_precision(supernet, amp):
    """Oracle: the losses of float32, to what eight bits of mantissa allow;
    weights stay float32."""
    supernet.backbone.norm_eval = True
    _, wanted = trained(supernet, 'cuda')
    _, log = trained(supernet, 'cuda', amp)
    for name, value in wanted.items():
        assert log[name].item() == pytest.approx(value.item(), rel=0.1, abs=0.1)
    model, log = trained(supernet, 'cuda', amp, iterations=5)
    assert math.isfinite(log['loss'])
    assert all(p.dtype == torch.float32 and p.isfinite().all()
               for p in model.parameters())


@pytest.mark.parametrize('amp', [None, 'float16'])
def test_a_run(tiny_config, amp):
    """Oracle: by definition: weights are on the GPU and finite, accuracies are
    percentages, and a resumed run goes on to its end."""
    if amp:
        mix_precision(tiny_config)
    assert tiny_config.optim_wrapper.get('amp') == amp
    runner = train(copy.deepcopy(tiny_config), train_cfg=dict(max_epochs=1))
    found = runner.test()
    assert found and all(0 <= value <= 100 for name, value in found.items()
                         if name.endswith('top1'))
    resumed = train(
        copy.deepcopy(tiny_config), train_cfg=dict(max_epochs=2), resume=True)
    assert resumed.epoch == 2
    for model in (runner.model, resumed.model):
        assert all(p.is_cuda and p.isfinite().all() for p in model.parameters())
