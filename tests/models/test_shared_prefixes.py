import copy

import numpy as np
import pytest
import torch

from pss.models import calibrate
from pss.models.shared_prefixes import SharedPrefixes
from pss.registry import MODELS
from pss.structures import Subnet
from pss.supernet import hooked

from ..building import NETWORKS, classifier_config

FEATURES = dict(mbv1=1024, mbv2=1280, r50=2048)


def classifier(name):
    torch.manual_seed(0)
    config = classifier_config(**copy.deepcopy(NETWORKS[name]))
    config['head']['in_channels'] = FEATURES[name]
    return MODELS.build(config).eval()


def relatives(space, num=12):
    """Subnets of which many have their first widths in common, shuffled."""
    rng = np.random.default_rng(0)
    first, *others = space.decode(space.random(rng, num))
    found = [first, space.largest, space.smallest]
    for other in others:
        shared = rng.integers(len(first.widths) + 1)
        widths = first.widths[:shared] + other.widths[shared:]
        found.append(Subnet(first.resolution, widths))
    found.append(Subnet(space.resolutions[0], first.widths))
    found = list(dict.fromkeys(found))
    return [found[i] for i in rng.permutation(len(found))]


@pytest.mark.parametrize('name', NETWORKS)
@torch.no_grad()
def test_equals_running_each_alone(name):
    """Oracle: each subnet calibrated and run alone, in the order given; bit by
    bit, on two batches."""
    model = classifier(name)
    subnets = relatives(model.search_space)
    size = model.search_space.largest.resolution
    batches = [torch.randn(4, 3, size, size) for _ in range(2)]
    found = calibrate(model, subnets, batches)
    assert list(found) == subnets
    for subnet in subnets:
        alone = calibrate(model, [subnet], batches)[subnet]
        assert list(alone) == list(found[subnet])
        for name, pair in alone.items():
            assert all(map(torch.equal, pair, found[subnet][name]))
    runs = SharedPrefixes(model, subnets, found)
    for images in batches:
        shared = {}
        for subnet in runs:
            model.switch_to(subnet, found[subnet])
            shared[subnet] = model(images)
        assert set(shared) == set(subnets)
        for subnet in subnets:
            model.switch_to(subnet, found[subnet])
            assert torch.equal(shared[subnet], model(images))


@torch.no_grad()
def test_computes_a_prefix_once():
    """Oracle: the distinct pairs of a resolution and the widths up to a block,
    counted, for each block of MobileNetV2."""
    model = classifier('mbv2')
    backbone = model.backbone
    subnets = relatives(model.search_space)
    # of each block, the last of the widths that its output depends on
    drives = {d.layer: d.width for d in backbone.drives}
    blocks = [block.module for block in backbone.blocks()]
    last, reached = [], 0
    for block in blocks:
        reached = max([reached, *(drives.get(m, 0) for m in block.modules())])
        last.append(reached)
    ran = [0] * len(blocks)
    convs = [
        next(m for m in b.modules() if hasattr(m, 'weight')) for b in blocks
    ]

    def count(conv, inputs):
        ran[convs.index(conv)] += 1

    runs = SharedPrefixes(model, subnets)
    with hooked([(conv, count) for conv in convs]):
        for subnet in runs:
            model.switch_to(subnet)
            model(torch.randn(2, 3, 32, 32))
    assert ran == [
        len({(s.resolution, s.widths[:width + 1])
             for s in subnets}) for width in last
    ]
    assert ran[0] < ran[-1] <= len(subnets)


@torch.no_grad()
def test_other_statistics_are_not_shared():
    """Oracle: a network that differs in the statistics of its first norm has
    other logits, as when it runs alone."""
    model = classifier('mbv2')
    space = model.search_space
    subnets = [
        space.largest,
        Subnet(space.largest.resolution,
               (*space.largest.widths[:-1], space.smallest.widths[-1]))
    ]
    x = torch.randn(2, 3, 32, 32)
    statistics = calibrate(model, subnets, [x])
    mean, var = statistics[subnets[1]]['backbone.conv1.bn']
    statistics[subnets[1]]['backbone.conv1.bn'] = (mean + 1, var)
    shared = {}
    for subnet in SharedPrefixes(model, subnets, statistics):
        model.switch_to(subnet, statistics[subnet])
        shared[subnet] = model(x)
    for subnet in subnets:
        model.switch_to(subnet, statistics[subnet])
        assert torch.equal(model(x), shared[subnet])


def test_leaves_no_trace_after_an_error():
    """Oracle: the modules' attributes before."""
    model = classifier('mbv1')
    before = [set(vars(module)) for module in model.modules()]

    def stop_early():
        for _ in SharedPrefixes(model, relatives(model.search_space)):
            raise KeyError

    with pytest.raises(KeyError):
        stop_early()
    assert [set(vars(module)) for module in model.modules()] == before
