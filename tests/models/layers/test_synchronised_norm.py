import pytest
import torch
from torch import nn

from pss.models import SlimmableBatchNorm2d

from ...distributed import run_ranks

# uneven shares of ten images: one process has none but one, another none
SHARES = {2: (0, 4, 10), 3: (0, 0, 10, 10), 4: (0, 1, 4, 4, 10)}


def forward_backward(rank, processes, channels, dtype, kwargs):
    """Output, gradients and buffers of a process's share of ten images."""
    torch.manual_seed(0)
    norm = SlimmableBatchNorm2d(16, sync=True, **kwargs).to(dtype)
    if norm.affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x = 3 * torch.randn(10, channels, 5, 4, dtype=dtype) + 20
    gradient = torch.randn_like(x)
    shares = SHARES.get(processes, (0, 10))
    share = slice(shares[rank], shares[rank + 1])
    if rank % 2:
        x = x.to(memory_format=torch.channels_last)
    x = x[share].clone().requires_grad_()
    y = norm(x)
    y.backward(gradient[share])
    parameters = {
        name: parameter.grad
        for name, parameter in norm.named_parameters()
    }
    return dict(
        y=y.detach(),
        x=x.grad,
        parameters=parameters,
        buffers=dict(norm.named_buffers()))


@pytest.mark.parametrize('processes', [2, 3, 4])
def test_equals_one_process_with_all_images(tmp_path, processes):
    """Oracle: torch's batch norm on all images, in one process; at full and at
    narrow width, with and without parameters and running statistics. Empty
    shares give empty outputs and gradients."""
    for number, (dtype, tolerance) in enumerate([(torch.float64, 1e-12),
                                                 (torch.float32, 1e-4)]):
        cases = [(processes, channels, dtype, kwargs) for channels in (16, 6)
                 for kwargs in (dict(), dict(affine=False), dict(momentum=None),
                                dict(track_running_stats=False))]
        folder = tmp_path / str(number)
        folder.mkdir()
        ranks = run_ranks(processes, folder, all_cases, cases)
        for i, case in enumerate(cases):
            one = forward_backward(0, 1, *case[1:])
            mine = [rank[i] for rank in ranks]
            for key in ('y', 'x'):
                torch.testing.assert_close(
                    torch.cat([m[key] for m in mine]),
                    one[key],
                    atol=tolerance,
                    rtol=tolerance)
            for name, value in one['parameters'].items():
                torch.testing.assert_close(
                    sum(m['parameters'][name] for m in mine),
                    value,
                    atol=10 * tolerance,
                    rtol=tolerance)
            for name, value in one['buffers'].items():
                assert all(
                    torch.equal(m['buffers'][name], mine[0]['buffers'][name])
                    for m in mine)
                torch.testing.assert_close(
                    mine[0]['buffers'][name],
                    value,
                    atol=tolerance,
                    rtol=tolerance)


def all_cases(rank, cases):
    return [forward_backward(rank, *case) for case in cases]


def half_precision(rank):
    """Inputs as autocast makes them, and a layer in half precision too."""
    torch.manual_seed(0)
    x = torch.randn(8, 6, 5, 5)[rank::2].bfloat16()
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        norm = SlimmableBatchNorm2d(16, sync=True).to(dtype)
        inputs = x.clone().requires_grad_()
        y = norm(inputs)
        (y**2).mean().backward()
        assert y.dtype == inputs.grad.dtype == torch.bfloat16
        found.append((y.detach().float(), norm.running_mean.float()))
    return found


def test_half_precision(tmp_path):
    """Oracle: batch norm in float32 on the same numbers, within bfloat16's
    three digits."""
    ranks = run_ranks(2, tmp_path, half_precision)
    torch.manual_seed(0)
    x = torch.randn(8, 6, 5, 5).bfloat16().float()
    norm = nn.BatchNorm2d(6)
    y = norm(x)
    for rank, found in enumerate(ranks):
        for mine, mean in found:
            torch.testing.assert_close(
                mine, y[rank::2].detach(), atol=0.03, rtol=0.01)
            torch.testing.assert_close(
                mean[:6], norm.running_mean, atol=1e-3, rtol=0.01)


def evaluation(rank):
    """No statistics are shared in evaluation: one process may run it alone."""
    norm = SlimmableBatchNorm2d(4, sync=True).eval()
    return norm(torch.ones(1, 4, 2, 2)).detach() if rank == 0 else None


def test_evaluation_does_not_wait_for_others(tmp_path):
    """Oracle: one process calls it; a collective would never return."""
    ranks = run_ranks(2, tmp_path, evaluation, timeout=50)
    torch.testing.assert_close(
        ranks[0],
        nn.BatchNorm2d(4).eval()(torch.ones(1, 4, 2, 2)).detach())


def single_value(rank):
    with pytest.raises(ValueError, match='more than one value'):
        SlimmableBatchNorm2d(4, sync=True)(torch.ones(rank, 4, 1, 1))
    return rank


def test_a_single_value_is_an_error(tmp_path):
    """Oracle: the words of torch's own error; on both ranks."""
    assert run_ranks(2, tmp_path, single_value) == [0, 1]
