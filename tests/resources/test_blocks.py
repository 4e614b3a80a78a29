import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from pss.registry import MODELS
from pss.resources import reachable_blocks
from pss.resources.blocks import BlockKey, block_families

from ..conftest import FIXTURES, classifier_config

RESNET = 'pss.SlimmableResNet'
NETWORKS = [
    (1280, dict(search_space=dict(multipliers=(0.9, 1.)))),
    (1280,
     dict(
         search_space=dict(multipliers=(0.9, 1.), divisor=8, unit='block'),
         strides=(2, 1, 1, 2, 2, 1, 2, 1))),
    (1024,
     dict(
         type='pss.SlimmableMobileNetV1',
         search_space=dict(multipliers=(0.9, 1.), divisor=32))),
    (512,
     dict(
         type=RESNET,
         depth=18,
         search_space=dict(multipliers=(0.8, 1.), divisor=32))),
    (2048,
     dict(
         type=RESNET,
         depth=50,
         deep_stem=True,
         avg_down=True,
         search_space=dict(multipliers=(0.95, 1.), divisor=64))),
]


def build(channels, backbone):
    backbone = dict(backbone)
    space = dict(backbone.pop('search_space'), resolutions=[33, 48])
    config = classifier_config(**backbone, search_space=space)
    config['head']['in_channels'] = channels
    return MODELS.build(config).eval()


@pytest.mark.parametrize('channels, backbone', NETWORKS)
def test_blocks_compute_the_network(channels, backbone):
    """Oracle: the supernet's own logits: nothing is left out but the average
    pool, and nothing is counted twice."""
    model = build(channels, backbone)
    model.switch_to(model.search_space.smallest)
    images = torch.randn(2, 3, 33, 33)
    with torch.no_grad():
        x = images
        for block in model.blocks():
            if isinstance(block.module, nn.Linear):
                x = model.neck((x, ))[0]
            x = block.module(x)
        torch.testing.assert_close(x, model(images))


@pytest.mark.parametrize('channels, backbone', NETWORKS)
def test_exactly_the_reachable_blocks(channels, backbone):
    """Oracle: brute force: random subnets of a small space run one by one,
    their blocks' sizes read off their inputs and outputs. All of them are in
    the list, and every block of the list is in the subnet that it names."""
    model = build(channels, backbone)
    found = reachable_blocks(model)
    space = model.search_space

    def run(subnet):
        model.switch_to(subnet)
        keys = []
        with torch.no_grad():
            x = torch.zeros(1, 3, subnet.resolution, subnet.resolution)
            for block in model.blocks():
                if isinstance(block.module, nn.Linear):
                    x = model.neck((x, ))[0]
                inner = []
                if block.inner is not None:
                    hook = block.inner.register_forward_hook(
                        lambda m, a, y: inner.append(y.shape[1]))  # noqa: B023
                y = block.module(x)
                if block.inner is not None:
                    hook.remove()
                keys.append(
                    BlockKey(block.block_type,
                             x.shape[2] if x.dim() == 4 else 1, x.shape[1],
                             inner[0] if inner else None, y.shape[1],
                             block.kernel_size, block.stride, block.shortcut))
                x = y
        return keys

    rng = np.random.default_rng(0)
    num = min(space.size, 60)
    seen = set()
    for subnet in space.decode(space.random(rng, num)):
        seen |= set(run(subnet))
    assert seen <= set(found)
    keys = list(found)
    for i in rng.choice(len(keys), min(len(keys), 40), replace=False):
        position, subnet = found[keys[i]]
        assert run(subnet)[position] == keys[i]


def test_number_of_blocks_of_mobilenet_v2(imagenet_model):
    """Oracle: counted by hand from SPEC's space: for each block the input
    sizes at 13 resolutions, times the choices of its widths."""
    counts = Counter(
        (k.block_type, k.kernel_size) for k in reachable_blocks(imagenet_model))
    sizes = {
        stride: len({-(-r // stride)
                     for r in range(128, 225, 8)})
        for stride in (1, 2, 4, 8, 16, 32)
    }
    stem, w32, w64, w96, w160, w320 = 2, 2, 3, 4, 6, 11
    # (input size by stride from the image, choices), first and other blocks
    blocks = [(2, stem), (2, 1), (4, 1), (4, w32), (8, w32), (8, w32 * w64),
              (16, w64), (16, w64 * w96), (16, w96), (16, w96 * w160),
              (32, w160), (32, w160 * w320)]
    assert counts['MBV2Block', None] == sum(sizes[s] * n for s, n in blocks)
    assert counts['Conv2d', 3] == sizes[1] * stem
    assert counts['Conv2d', 1] == sizes[32] * w320
    assert counts['Linear', None] == 1


def test_all_are_in_the_published_table(imagenet_model):
    """Oracle: the keys of the published table of MobileNetV2."""
    path = FIXTURES / 'published_lut_mbv2_cpu.pkl'
    if not path.is_file():
        pytest.skip(f'{path} is not there; PSS_FIXTURES names its folder')

    class BlockCfg(tuple):
        """Takes the fields as they come."""

        def __new__(cls, *fields):
            return tuple.__new__(cls, fields)

    class Unpickler(pickle.Unpickler):

        def find_class(self, module, name):
            assert (module, name) == ('__main__', 'BlockCfg')
            return BlockCfg

    with path.open('rb') as file:
        published = set(map(tuple, Unpickler(file).load()))
    for key in reachable_blocks(imagenet_model):
        padding = None if key.kernel_size is None else key.kernel_size // 2
        theirs = (key.block_type, key.in_size, key.cin, key.cout, key.cmid,
                  key.kernel_size, key.stride, padding)
        assert theirs in published, key


def test_the_model_is_left_as_it_was(supernet):
    """Oracle: active subnet and mode before."""
    supernet.switch_to(supernet.search_space.smallest)
    supernet.train()
    block_families(supernet)
    assert supernet.active_subnet == supernet.search_space.smallest
    assert supernet.training
