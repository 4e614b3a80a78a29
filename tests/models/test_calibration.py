import copy

import torch
from torch.nn import BatchNorm2d

from pss.models import calibrate
from pss.structures import Subnet


def test_equals_one_subnet_at_a_time(supernet):
    """Oracle: reset_running_stats() and momentum=None, torch's own average.

    Running statistics are narrow slices there, so one copy for each subnet.
    """
    torch.manual_seed(1)
    space = supernet.search_space
    subnets = [space.largest, space.smallest,
               Subnet(24, (32, 16, 24, 24, 56, 72, 160, 248))]
    batches = [torch.randn(4, 3, 32, 32) for _ in range(3)]
    found = calibrate(supernet, subnets, iter(batches))
    for subnet in subnets:
        other = copy.deepcopy(supernet)
        other.switch_to(subnet)
        norms = {n: m for n, m in other.named_modules()
                 if isinstance(m, BatchNorm2d)}
        for norm in norms.values():
            norm.reset_running_stats()
            norm.momentum = None
            norm.track_running_stats = True
        other.train()
        with torch.no_grad():
            for x in batches:
                other(x)
        assert set(found[subnet]) == set(norms)
        for name, (mean, var) in found[subnet].items():
            torch.testing.assert_close(
                mean, norms[name].running_mean[:len(mean)])
            torch.testing.assert_close(
                var, norms[name].running_var[:len(var)])


def test_leaves_the_model_as_it_was(supernet):
    """Oracle: weights, running statistics, mode and subnet before."""
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    subnet = Subnet(24, supernet.search_space.largest.widths)
    supernet.train()
    supernet.switch_to(subnet)
    calibrate(supernet, [supernet.search_space.smallest],
              [torch.randn(4, 3, 32, 32)])
    assert supernet.active_subnet == subnet
    assert all(m.training for m in supernet.modules())
    assert all(m.momentum == 0.1 for m in supernet.norms.values())
    assert all(torch.equal(v, before[k])
               for k, v in supernet.state_dict().items())


def test_evaluation_with_statistics(supernet):
    """Oracle: on the only calibration batch, the training-mode logits.

    Variances in training are biased, calibrated ones are not, as in torch; the
    last layers have a single pixel, so many images and a tolerance of 10 %.
    """
    x = torch.randn(512, 3, 32, 32)
    subnet = supernet.search_space.smallest
    statistics = calibrate(supernet, [subnet], [x])
    supernet.eval()
    supernet.switch_to(subnet, statistics[subnet])
    with torch.no_grad():
        calibrated = supernet(x)
        for norm in supernet.norms.values():
            norm.train()
        expected = supernet(x)
    scale = expected.std()
    assert (calibrated - expected).abs().mean() < 0.1 * scale
