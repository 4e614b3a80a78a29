import copy

import pytest
import torch
from torch.nn import BatchNorm2d

from pss.errors import InputError
from pss.models import calibrate
from pss.registry import MODELS
from pss.structures import Subnet

from ..building import SMALL_RESNET, classifier_config
from ..distributed import run_ranks


def test_equals_one_subnet_at_a_time(supernet):
    """Oracle: reset_running_stats() and momentum=None, torch's own average.

    Running statistics are narrow slices there, so one copy for each subnet.
    """
    torch.manual_seed(1)
    space = supernet.search_space
    subnets = [
        space.largest, space.smallest,
        Subnet(24, (32, 16, 24, 24, 56, 72, 160, 248))
    ]
    batches = [torch.randn(4, 3, 32, 32) for _ in range(3)]
    found = calibrate(supernet, subnets, iter(batches))
    for subnet in subnets:
        other = copy.deepcopy(supernet)
        other.switch_to(subnet)
        norms = {
            n: m
            for n, m in other.named_modules() if isinstance(m, BatchNorm2d)
        }
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
            torch.testing.assert_close(mean,
                                       norms[name].running_mean[:len(mean)])
            torch.testing.assert_close(var, norms[name].running_var[:len(var)])


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
    assert all(
        torch.equal(v, before[k]) for k, v in supernet.state_dict().items())


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


def test_without_batches_it_is_an_error(supernet):
    """Oracle: the field in the message; the model as it was."""
    supernet.train()
    with pytest.raises(InputError, match='calibration_dataloader: .*no batch'):
        calibrate(supernet, [supernet.search_space.smallest], [])
    assert supernet.training
    assert all(m.momentum == 0.1 for m in supernet.norms.values())


@pytest.mark.parametrize('passes', [0, 1, 2])
def test_no_hook_is_left_after_an_error(supernet, monkeypatch, passes):
    """Oracle: torch's own dictionaries of hooks; the mode and the subnet
    before. The error comes in the pass over a blank image, or in one over the
    batch."""
    run, left = supernet.run_norms, iter(range(passes))

    def failing(images):
        if next(left, None) is None:
            raise RuntimeError('out of memory')
        run(images)

    monkeypatch.setattr(supernet, 'run_norms', failing)
    space = supernet.search_space
    supernet.train()
    with pytest.raises(RuntimeError, match='out of memory'):
        calibrate(supernet, [space.smallest, space.largest],
                  [torch.randn(4, 3, 32, 32)])
    assert not any(m._forward_pre_hooks or m._forward_hooks
                   for m in supernet.modules())
    assert supernet.training and supernet.active_subnet == space.largest
    assert all(m.momentum == 0.1 for m in supernet.norms.values())


def of_shares(rank, shares, sync):
    """Statistics of two subnets, from a process's share of some batches."""
    torch.manual_seed(0)
    config = classifier_config(**SMALL_RESNET)
    config['head']['in_channels'] = 32
    model = MODELS.build(config).double()
    for norm in model.norms.values():
        norm.sync = sync
    batches = [
        torch.randn(2 + i, 3, 24, 24, dtype=torch.double)
        for i in range(sum(shares))
    ]
    first = sum(shares[:rank])
    space = model.search_space
    try:
        found = calibrate(model, [space.largest, space.smallest],
                          batches[first:first + shares[rank]])
    except InputError as error:
        return str(error)
    return [list(map(list, values.values())) for values in found.values()]


@pytest.mark.parametrize('shares', [(2, 0), (3, 1), (0, 1, 2), (2, 2)])
def test_uneven_shares_of_processes(tmp_path, shares):
    """Oracle: one process with all batches: each counts as much as any other,
    whichever process has it."""
    one = of_shares(0, (sum(shares), ), False)
    for found in run_ranks(len(shares), tmp_path, of_shares, shares, False):
        torch.testing.assert_close(found, one, atol=1e-12, rtol=1e-12)


def test_uneven_shares_of_synchronised_norms(tmp_path):
    """Oracle: one process whose batches are what both have together; in the
    last rounds only one has any. No process waits for ever."""
    ranks = run_ranks(2, tmp_path, of_shares, (3, 1), True)
    torch.manual_seed(0)
    config = classifier_config(**SMALL_RESNET)
    config['head']['in_channels'] = 32
    model = MODELS.build(config).double()
    batches = [
        torch.randn(2 + i, 3, 24, 24, dtype=torch.double) for i in range(4)
    ]
    space = model.search_space
    one = calibrate(model, [space.largest, space.smallest],
                    [torch.cat([batches[0], batches[3]]), *batches[1:3]])
    one = [list(map(list, values.values())) for values in one.values()]
    for found in ranks:
        torch.testing.assert_close(found, one, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize('sync', [False, True])
def test_no_process_has_a_batch(tmp_path, sync):
    """Oracle: the same message in both; neither waits."""
    one, two = run_ranks(2, tmp_path, of_shares, (0, 0), sync)
    assert one == two and 'no batch' in one


@pytest.mark.gpu
def test_on_a_gpu(supernet, exact):
    """Oracle: the CPU."""
    space = supernet.search_space
    images = torch.randn(8, 3, 32, 32)
    subnets = [space.largest, space.smallest]
    wanted = calibrate(supernet, subnets, [images])
    found = calibrate(supernet.to('cuda'), subnets, [images.to('cuda')])
    for subnet in subnets:
        for name, statistics in wanted[subnet].items():
            for mine, other in zip(found[subnet][name], statistics):
                torch.testing.assert_close(
                    mine.cpu(), other, atol=1e-4, rtol=1e-3)
