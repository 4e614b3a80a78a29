"""From plain layers to slimmable ones, the inverse of :mod:`.narrowing`."""

from typing import Any, Callable, Collection, Dict, List, Sequence, Tuple, Type

from torch import Tensor, nn

from ..errors import InputError
from ..supernet import blank, evaluating, hooked
from .layers import (
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    SlimmableGroupNorm,
    SlimmableLinear,
)
from .switching import SwitchableModel


def make_slimmable(part: nn.Module, kinds: Collection[Type[nn.Module]]) -> None:
    """Replaces plain layers by slimmable ones with the same parameters.

    In place, for a neck or a head whose features can become narrow. Batch norms
    need statistics for each subnet even where their width is fixed.

    Args:
        part: holds the layers; it is no layer itself.
        kinds: what to replace, of ``nn.Conv2d``, ``nn.Linear``,
            ``nn.BatchNorm2d``, ``nn.SyncBatchNorm`` and ``nn.GroupNorm``;
            subclasses of these stay.
    """
    for module in part.modules():
        for name, child in module.named_children():
            if type(child) in kinds:
                slimmable = _SLIMMABLE[type(child)](child)
                setattr(module, name, _like(slimmable, child))


def _like(layer: nn.Module, other: nn.Module) -> nn.Module:
    """Gives a layer another one's parameters, buffers and mode."""
    for name, parameter in other.named_parameters(recurse=False):
        setattr(layer, name, parameter)
    for name, buffer in other.named_buffers(recurse=False):
        setattr(layer, name, buffer)
    return layer.train(other.training)


def _slimmable_conv(plain: nn.Conv2d) -> SlimmableConv2d:
    return SlimmableConv2d(plain.in_channels, plain.out_channels,
                           plain.kernel_size, plain.stride, plain.padding,
                           plain.dilation, plain.groups, plain.bias is not None,
                           plain.padding_mode)


def _slimmable_linear(plain: nn.Linear) -> SlimmableLinear:
    return SlimmableLinear(
        plain.in_features,
        plain.out_features,
        plain.bias is not None,
        device='meta')


def _slimmable_batch_norm(plain: nn.BatchNorm2d) -> SlimmableBatchNorm2d:
    return SlimmableBatchNorm2d(plain.num_features, plain.eps, plain.momentum,
                                plain.affine, plain.track_running_stats)


def _slimmable_sync_batch_norm(plain: nn.SyncBatchNorm) -> SlimmableBatchNorm2d:
    return SlimmableBatchNorm2d(
        plain.num_features,
        plain.eps,
        plain.momentum,
        plain.affine,
        plain.track_running_stats,
        sync=True)


def _slimmable_group_norm(plain: nn.GroupNorm) -> SlimmableGroupNorm:
    return SlimmableGroupNorm(
        plain.num_channels,
        plain.num_groups,
        eps=plain.eps,
        affine=plain.affine)


_SLIMMABLE: Dict[Type[nn.Module], Callable[[Any], nn.Module]] = {
    nn.Conv2d: _slimmable_conv,
    nn.Linear: _slimmable_linear,
    nn.BatchNorm2d: _slimmable_batch_norm,
    nn.SyncBatchNorm: _slimmable_sync_batch_norm,
    nn.GroupNorm: _slimmable_group_norm,
}


def check_widths(model: SwitchableModel, run: Callable[[Tensor], Any],
                 kinds: str) -> None:
    """Refuses necks and heads that cannot take every subnet's features.

    Runs a blank image at full width, where a slimmable layer that gets fewer
    channels than it has was configured wrongly, and one through the smallest
    subnet. The largest subnet is active afterwards.

    Args:
        model: the supernet.
        run: takes the image through backbone, neck and heads.
        kinds: what neck and heads are called in the message.

    Raises:
        InputError: it has the number of channels of the features.
    """
    space = model.search_space
    images = blank(model, space.smallest.resolution)
    channels: List[int] = []

    def note(backbone: nn.Module, inputs: Tuple[Tensor],
             features: Sequence[Tensor]) -> None:
        channels[:] = [level.shape[1] for level in features]

    slimmable = [
        module for module in model.modules()
        if isinstance(module, (SlimmableConv2d, SlimmableLinear))
    ]
    try:
        model.switch_to(space.smallest)
        for drive in model.backbone.drives:
            drive.layer.active_out_channels = drive.out_channels
        with evaluating(model):
            with hooked(
                    before=[(layer, _check_input) for layer in slimmable],
                    after=[(model.backbone, note)]):
                run(images)
            model.switch_to(space.smallest)
            run(images)
    except (RuntimeError, ValueError, AssertionError) as error:
        text = str(error).strip() or type(error).__name__
        raise InputError(
            f"neck and head: {kinds} cannot take the backbone's features, "
            f'which have {channels} channels ({text.splitlines()[0]})'
        ) from None
    finally:
        model.switch_to(space.largest)


def _check_input(layer: nn.Module, inputs: Tuple[Tensor]) -> None:
    """Raises ValueError if a layer at full width gets too few channels."""
    if isinstance(layer, nn.Linear):
        wanted, found = layer.in_features, inputs[0].shape[-1]
    else:
        assert isinstance(layer, nn.Conv2d)
        wanted, found = layer.in_channels, inputs[0].shape[1]
    if found != wanted:
        raise ValueError(f'in_channels={wanted} in the config, {found} at full '
                         'width')
