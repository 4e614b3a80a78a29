from torch import nn

from pss.resources import count_macs, macs_by_module


def test_macs_by_hand():
    """Oracle: by hand: outputs times inputs of each; the pool counts its input,
    batch norm and activation nothing."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    conv, pool, linear = 6 * 8 * 4 * 3 * 9, 6 * 8 * 4, 4 * 5
    counted = macs_by_module(model, (3, 6, 8))
    assert counted[''] == conv + pool + linear
    assert [counted.get(str(i), 0)
            for i in range(6)] == [conv, 0, 0, pool, 0, linear]


def test_the_model_is_left_as_it_was(supernet):
    """Oracle: active subnet and modes before."""
    supernet.switch_to(supernet.search_space.smallest)
    supernet.train()
    count_macs(supernet, supernet.search_space.largest)
    assert supernet.active_subnet == supernet.search_space.smallest
    assert all(m.training for m in supernet.modules())
