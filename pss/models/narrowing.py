"""From slimmable layers to plain ones that are as narrow as a subnet."""

from functools import partial
from typing import Any, Callable, Dict, Optional, Tuple, Type, TypeVar

from torch import Tensor, nn

from ..supernet import evaluating, hooked
from .layers import (
    SlicedModule,
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    SlimmableGroupNorm,
    SlimmableLinear,
    unslice_module,
)
from .layers.slimmable_conv import active_sizes

# Returns the first entries of a parameter along its first axes.
Cut = Callable[..., nn.Parameter]
Plain = TypeVar('Plain', bound=nn.Module)


def copied(value: Tensor, *sizes: int) -> nn.Parameter:
    """The first entries of a parameter, copied."""
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
        model: holds the slimmable layers; it is no layer itself.
        images: what the model runs on, to see the layers' sizes.
        cut: takes the plain layers' parameters from the slimmable ones'.
        run: called with the images instead of the model.
    """
    channels: Dict[str, Tuple[int, int]] = {}

    def note(name: str, layer: nn.Module, inputs: Tuple[Tensor],
             y: Tensor) -> None:
        axis = -1 if isinstance(layer, nn.Linear) else 1
        channels[name] = (inputs[0].shape[axis], y.shape[axis])

    layers = [(module, partial(note, name))
              for name, module in model.named_modules()
              if type(module) in _PLAIN]
    with evaluating(model), hooked(after=layers):
        (run or model)(images)
    for name, sizes in channels.items():
        wide = model.get_submodule(name)
        plain = _PLAIN[type(wide)](wide, *sizes, cut)
        plain.train(wide.training)
        parent, _, attribute = name.rpartition('.')
        setattr(model.get_submodule(parent), attribute, plain)
    for module in list(model.modules()):
        if isinstance(module, SlicedModule):
            unslice_module(module, cut)


def _fill(wide: Any, plain: Plain, cut: Cut, *weight_sizes: int) -> Plain:
    """Gives a plain layer the first entries of a slimmable one's values."""
    if wide.weight is not None:
        plain.weight = cut(wide.weight, *weight_sizes)
    if wide.bias is not None:
        plain.bias = cut(wide.bias, weight_sizes[0])
    return plain


def _plain_conv(wide: SlimmableConv2d, c_in: int, c_out: int,
                cut: Cut) -> nn.Conv2d:
    _, per_group, groups = active_sizes(wide, c_in)
    plain = nn.Conv2d(
        c_in,
        c_out,
        _pair(wide.kernel_size),
        _pair(wide.stride),
        wide.padding if isinstance(wide.padding, str) else _pair(wide.padding),
        _pair(wide.dilation),
        groups,
        wide.bias is not None,
        wide.padding_mode,
        device='meta')
    return _fill(wide, plain, cut, c_out, per_group)


def _pair(values: Tuple[int, ...]) -> Tuple[int, int]:
    """Height and width; torch types them as a tuple of any length."""
    height, width = values
    return height, width


def _plain_linear(wide: SlimmableLinear, c_in: int, c_out: int,
                  cut: Cut) -> nn.Linear:
    plain = nn.Linear(c_in, c_out, wide.bias is not None, device='meta')
    return _fill(wide, plain, cut, c_out, c_in)


def _plain_batch_norm(wide: SlimmableBatchNorm2d, c_in: int, c_out: int,
                      cut: Cut) -> nn.BatchNorm2d:
    plain = nn.BatchNorm2d(c_out, wide.eps, wide.momentum, wide.affine,
                           wide.running_mean is not None)
    if wide.running_mean is not None:
        assert wide.running_var is not None
        assert wide.num_batches_tracked is not None
        mean, var = wide.statistics or (wide.running_mean, wide.running_var)
        plain.running_mean = mean[:c_out].clone()
        plain.running_var = var[:c_out].clone()
        plain.num_batches_tracked = wide.num_batches_tracked.clone()
    return _fill(wide, plain, cut, c_out)


def _plain_group_norm(wide: SlimmableGroupNorm, c_in: int, c_out: int,
                      cut: Cut) -> nn.GroupNorm:
    plain = nn.GroupNorm(wide.num_groups, c_out, wide.eps, wide.affine)
    return _fill(wide, plain, cut, c_out)


_PLAIN: Dict[Type[nn.Module], Callable[..., nn.Module]] = {
    SlimmableConv2d: _plain_conv,
    SlimmableLinear: _plain_linear,
    SlimmableBatchNorm2d: _plain_batch_norm,
    SlimmableGroupNorm: _plain_group_norm,
}
