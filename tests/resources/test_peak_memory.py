import numpy as np
import pytest
import torch

from pss.errors import InputError
from pss.registry import MODELS
from pss.resources import PeakMemory
from pss.resources.peak_memory import peak_bytes
from pss.sampling import ConditionalSampler
from pss.structures import Budget

from ..building import classifier_config


def network(channels, **backbone):
    """A supernet for small images."""
    config = classifier_config(
        **backbone, search_space=dict(resolutions=[32, 47, 64]))
    config['head']['in_channels'] = channels
    return MODELS.build(config).eval()


NETWORKS = [
    (1280, dict()),
    (1024, dict(type='pss.SlimmableMobileNetV1')),
    (2048, dict(type='pss.SlimmableResNet', depth=50)),
    (512, dict(type='pss.SlimmableResNet', depth=18)),
]


@pytest.mark.parametrize('channels, backbone', NETWORKS)
def test_equals_what_is_measured(channels, backbone):
    """Oracle: the tensors that were alive in a forward pass on the CPU, subnet
    by subnet."""
    model = network(channels, **backbone)
    table = PeakMemory().table(model)
    codes = table.space.random(np.random.default_rng(0), 3)
    measured = [peak_bytes(model, s) for s in table.space.decode(codes)]
    assert table.total(codes).tolist() == measured
    four = PeakMemory(batch_size=4).table(model)
    assert four.total(codes).tolist() == [4 * m for m in measured]


def test_mobilenet_v2_by_hand(imagenet_model):
    """Oracle: the first block with an expansion, at 112 x 112 pixels: the
    image, and that again channels last; 16 channels going in, and 96 hidden
    ones before and after the batch norm."""
    space = imagenet_model.search_space
    assert imagenet_model.memory_format == torch.channels_last
    expected = 4 * (2 * 3 * 224**2 + (16 + 96 + 96) * 112**2)
    table = PeakMemory().table(imagenet_model)
    assert table.total(space.encode([space.largest]))[0] == expected


def test_against_the_profiler(imagenet_model):
    """Oracle: torch's own profiler of the CPU's allocator. It also sees the
    workspace of operators, which is small."""
    model = imagenet_model
    for subnet in (model.search_space.smallest, model.search_space.largest):
        model.switch_to(subnet)
        shape = (1, 3, subnet.resolution, subnet.resolution)
        with torch.no_grad():
            model(torch.zeros(shape))
            with torch.profiler.profile(profile_memory=True) as profile:
                model(torch.zeros(shape))
        now = peak = 0
        for event in profile.profiler.kineto_results.events():
            if event.name() == '[memory]':
                now += event.nbytes()
                peak = max(peak, now)
        ours = peak_bytes(model, subnet)
        assert ours <= peak <= 1.2 * ours
    model.switch_to(model.search_space.largest)


@pytest.mark.gpu
def test_against_the_gpu(imagenet_model):
    """Oracle: torch's count of the GPU's memory, which is allocated in pieces
    of 512 bytes and includes the workspace of convolutions."""
    model = imagenet_model.to('cuda')
    try:
        with torch.no_grad():
            model(torch.zeros(1, 3, 224, 224, device='cuda'))
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            model(torch.zeros(1, 3, 224, 224, device='cuda'))
        peak = torch.cuda.max_memory_allocated() - before
        ours = peak_bytes(model, model.search_space.largest)
    finally:
        model.to('cpu')
    assert ours <= peak <= 1.5 * ours


def test_levels_of_peak_memory():
    """Oracle: the enumerated prior, restricted to the level: chi-square over
    resolution and the width that the peak depends on."""
    model = network(1280)
    cost = PeakMemory().table(model)
    assert cost.combine == 'max'
    space = cost.space
    codes = space.enumerate()
    values = cost(codes)
    low, high = np.quantile(values, [0.2, 0.7])
    budget = Budget('memory', (low + high) / 2, high - low)
    inside = (values >= budget.low) & (values < budget.high)
    prior = np.prod([p[c] for p, c in zip(space.priors, codes.T)], axis=0)
    prior = prior * inside / prior[inside].sum()
    drawn = ConditionalSampler(cost, [budget]).draw(budget,
                                                    np.random.default_rng(0),
                                                    50_000)
    drawn_values = cost(drawn)
    assert ((drawn_values >= budget.low) & (drawn_values < budget.high)).all()
    for column in range(len(space.shape)):
        expected = np.bincount(codes[:, column], prior) * len(drawn)
        counts = np.bincount(drawn[:, column], minlength=len(expected))
        some = expected > 5
        statistic = ((counts - expected)**2)[some] / expected[some]
        degrees = max(some.sum() - 1, 1)
        assert statistic.sum() < degrees + 4 * np.sqrt(2 * degrees)


@pytest.mark.parametrize('batch_size', [0, -1, 1.5, True, '2'])
def test_bad_batch_size(batch_size):
    """Oracle: the field is in the message."""
    with pytest.raises(InputError, match='batch_size'):
        PeakMemory(batch_size=batch_size)
