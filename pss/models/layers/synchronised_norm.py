"""Batch norm over the batches of all processes.

torch's ``SyncBatchNorm`` does this on GPUs, for layers of one width; it refuses
tensors on a CPU. Here its kernels run on GPUs, and the same is computed on
CPUs.
"""

from typing import Optional, Tuple

import torch
from torch import Tensor, distributed
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.modules._functions import SyncBatchNorm as _OnGPU


def is_shared() -> bool:
    """Whether there is another process to share statistics with."""
    return distributed.is_available() and distributed.is_initialized() and \
        distributed.get_world_size() > 1


def synchronised_batch_norm(x: Tensor, running_mean: Optional[Tensor],
                            running_var: Optional[Tensor],
                            weight: Optional[Tensor], bias: Optional[Tensor],
                            momentum: float, eps: float) -> Tensor:
    """:func:`torch.nn.functional.batch_norm` in training, with the mean and the
    variance of all processes' ``x``.

    All processes call it with the same number of channels. Batches may differ
    in size, and an empty one contributes nothing.
    """
    if x.device.type != 'cpu':
        return _OnGPU.apply(x, weight, bias, running_mean, running_var, eps,
                            momentum, distributed.group.WORLD,
                            distributed.get_world_size())
    return _OnCPU.apply(x, running_mean, running_var, weight, bias, momentum,
                        eps)


class _OnCPU(Function):
    """One gathering of statistics forward, one sum backward."""

    @staticmethod
    def forward(ctx, x: Tensor, running_mean: Optional[Tensor],
                running_var: Optional[Tensor], weight: Optional[Tensor],
                bias: Optional[Tensor], momentum: float, eps: float) -> Tensor:
        mean, var, total = _statistics(x)
        if total <= 1:
            raise ValueError('batch norm in training needs more than one '
                             f'value a channel; all processes together have '
                             f'{int(total)}')
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = var * (total / (total - 1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
        if weight is not None:  # in half precision if that is
            mean, var = mean.to(weight.dtype), var.to(weight.dtype)
        ctx.save_for_backward(x, weight, mean, var, total)
        ctx.eps = eps
        if not x.numel():  # torch's kernel would divide by the size
            return torch.empty_like(x)
        return F.batch_norm(x, mean, var, weight, bias, False, 0., eps)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> Tuple[Optional[Tensor], ...]:
        x, weight, mean, var, total = ctx.saved_tensors
        scale = (var + ctx.eps).rsqrt()
        if weight is None:
            weight = torch.ones_like(mean)
        # first as if mean and variance were constants: the gradients of bias
        # and weight are also the sums that their dependence on x needs
        backward = torch.ops.aten.native_batch_norm_backward
        constant, for_weight, for_bias = backward(
            gradient, x, weight, mean, var, None, None, False, ctx.eps,
            [True, True, True]) if x.numel() else (torch.zeros_like(x),
                                                   torch.zeros_like(weight),
                                                   torch.zeros_like(weight))
        sums = torch.cat([for_bias, for_weight]).to(total.dtype)
        distributed.all_reduce(sums)
        on_bias, on_weight = (_channels(part, x) for part in sums.chunk(2))
        normalised = (x - _channels(mean, x)) * _channels(scale, x)
        dependent = normalised.mul_(on_weight).add_(on_bias).mul_(
            _channels(weight * scale / total, x))
        for_x = (constant - dependent).to(x.dtype)
        needed = ctx.needs_input_grad
        return (for_x, None, None, for_weight if needed[3] else None,
                for_bias if needed[4] else None, None, None)


def _statistics(x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance ``(C, )`` over all processes' ``(N, C, H, W)``,
    and how many values a channel has.

    Gathered, then combined in the order of the processes, so that all have the
    same bits.
    """
    exact = torch.promote_types(x.dtype, torch.float32)
    if x.numel():
        var, mean = torch.var_mean(x.to(exact), (0, 2, 3), correction=0)
    else:
        var = mean = x.new_zeros(x.shape[1], dtype=exact)
    count = mean.new_tensor([x.numel() / x.shape[1]])
    mine = torch.cat([count, mean, var])
    parts = [
        torch.empty_like(mine) for _ in range(distributed.get_world_size())
    ]
    distributed.all_gather(parts, mine)
    counts, means, variances = torch.stack(parts).split(
        [1, len(mean), len(mean)], dim=1)
    total = counts.sum()
    mean = (counts * means).sum(0) / total
    var = (counts * (variances + (means - mean)**2)).sum(0) / total
    return mean, var, total


def _channels(values: Tensor, x: Tensor) -> Tensor:
    """Values of channels, shaped to broadcast over ``(N, C, H, W)``."""
    return values.view(1, -1, *[1] * (x.dim() - 2))
