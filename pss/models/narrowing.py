"""From slimmable layers to plain ones that are as narrow as a subnet."""

from typing import Any, Callable, Dict, Optional, Tuple, Type

from torch import Tensor, nn

from ..supernet import evaluating
from .layers import (
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    SlimmableGroupNorm,
    SlimmableLinear,
)

# Gives the first entries of a parameter along its first axes.
Cut = Callable[..., nn.Parameter]


def copied(value: Tensor, *sizes: int) -> nn.Parameter:
    """The first entries of a parameter, as one of its own."""
    part = value.detach()[tuple(slice(size) for size in sizes)]
    return nn.Parameter(part.clone(), requires_grad=value.requires_grad)


def narrow(model: nn.Module,
           images: Tensor,
           cut: Cut = copied,
           run: Optional[Callable[[Tensor], Any]] = None) -> None:
    """Replaces slimmable layers by plain ones of the active subnet's widths.

    In place: the weights that the subnet does not use are gone. Plain batch
    norms take the statistics that are in use.

    Args:
        model: what holds slimmable layers; itself it is none.
        images: what it is called with, to see the layers' sizes.
        cut: takes the plain layers' parameters from the slimmable ones'.
        run: what is called instead of the model.
    """
    channels: Dict[str, Tuple[int, int]] = {}

    def note(name, x, y):
        axis = -1 if y.dim() == 2 else 1
        channels[name] = (x.shape[axis], y.shape[axis])

    hooks = [
        module.register_forward_hook(
            lambda module, args, y, name=name: note(name, args[0], y))
        for name, module in model.named_modules() if type(module) in _PLAIN
    ]
    try:
        with evaluating(model):
            (run or model)(images)
    finally:
        for hook in hooks:
            hook.remove()
    for name, sizes in channels.items():
        wide = model.get_submodule(name)
        plain = _PLAIN[type(wide)](wide, *sizes, cut)
        plain.train(wide.training)
        parent, _, attribute = name.rpartition('.')
        setattr(model.get_submodule(parent), attribute, plain)


def _fill(wide: nn.Module, plain: nn.Module, cut: Cut, *weight_sizes:
          int) -> nn.Module:
    """Gives a plain layer the first entries of a slimmable one's values."""
    if wide.weight is not None:
        plain.weight = cut(wide.weight, *weight_sizes)
    if wide.bias is not None:
        plain.bias = cut(wide.bias, weight_sizes[0])
    return plain


def _plain_conv(wide: SlimmableConv2d, c_in: int, c_out: int,
                cut: Cut) -> nn.Conv2d:
    groups = c_in if wide.is_depthwise else wide.groups
    plain = nn.Conv2d(
        c_in,
        c_out,
        wide.kernel_size,
        wide.stride,
        wide.padding,
        wide.dilation,
        groups,
        wide.bias is not None,
        wide.padding_mode,
        device='meta')
    return _fill(wide, plain, cut, c_out, c_in // groups)


def _plain_linear(wide: SlimmableLinear, c_in: int, c_out: int,
                  cut: Cut) -> nn.Linear:
    plain = nn.Linear(c_in, c_out, wide.bias is not None, device='meta')
    return _fill(wide, plain, cut, c_out, c_in)


def _plain_batch_norm(wide: SlimmableBatchNorm2d, c_in: int, c_out: int,
                      cut: Cut) -> nn.BatchNorm2d:
    plain = nn.BatchNorm2d(c_out, wide.eps, wide.momentum, wide.affine,
                           wide.running_mean is not None)
    if wide.running_mean is not None:
        mean, var = wide.statistics or (wide.running_mean, wide.running_var)
        plain.running_mean = mean[:c_out].clone()
        plain.running_var = var[:c_out].clone()
        plain.num_batches_tracked = wide.num_batches_tracked.clone()
    return _fill(wide, plain, cut, c_out)


def _plain_group_norm(wide: SlimmableGroupNorm, c_in: int, c_out: int,
                      cut: Cut) -> nn.GroupNorm:
    plain = nn.GroupNorm(wide.num_groups, c_out, wide.eps, wide.affine)
    return _fill(wide, plain, cut, c_out)


_PLAIN: Dict[Type[nn.Module], object] = {
    SlimmableConv2d: _plain_conv,
    SlimmableLinear: _plain_linear,
    SlimmableBatchNorm2d: _plain_batch_norm,
    SlimmableGroupNorm: _plain_group_norm,
}
