"""Modules of any class that run with the first channels of their parameters.

For layers of a class of their own and for parameters that a block has besides
its layers: the class is replaced by one that computes the same from properties
that return the first channels.
"""

from functools import partial
from typing import Any, Dict, Tuple, Type

from torch import Tensor, nn

from .slimmable_conv import active_sizes


class SlicedModule(nn.Module):
    """What sliced modules inherit besides their own class.

    Attributes:
        plain_class: the class that it had.
        sliced_axes: of each parameter that is cut, the axis of its channels.
        sliced_channels: how many there are at full width.
        active_out_channels: how many channels it runs with.
    """
    plain_class: Type[nn.Module]
    sliced_axes: Dict[str, int]
    sliced_channels: int
    active_out_channels: int

    def sizes_of(self, name: str) -> Tuple[int, ...]:
        """The active sizes of a parameter."""
        sizes = list(self._parameters[name].shape)  # type: ignore[union-attr]
        sizes[self.sliced_axes[name]] = self.active_out_channels
        return tuple(sizes)

    def sliced_attributes(self) -> Dict[str, Any]:
        """Attributes besides parameters that have other values when narrow."""
        return {}


class _SlicedLayerNorm(SlicedModule):

    def sliced_attributes(self) -> Dict[str, Any]:
        return dict(normalized_shape=(self.active_out_channels, ))


class _SlicedLinear(SlicedModule):
    """Its input determines how many features go in."""

    def forward(self, x: Tensor) -> Tensor:
        self.channels_in = x.shape[-1]
        return super().forward(x)

    def sizes_of(self, name: str) -> Tuple[int, ...]:
        sizes = (self.active_out_channels, self.channels_in)
        return sizes if name == 'weight' else sizes[:1]

    def sliced_attributes(self) -> Dict[str, Any]:
        return dict(
            in_features=self.channels_in, out_features=self.active_out_channels)


class _SlicedConv2d(SlicedModule):
    """A convolution's input determines how many channels go in."""

    def forward(self, x: Tensor) -> Tensor:
        self.channels_in = x.shape[1]
        return super().forward(x)

    @property
    def _active(self) -> Tuple[int, int, int]:
        return active_sizes(self, self.channels_in)

    def sizes_of(self, name: str) -> Tuple[int, ...]:
        channels_out, per_group, _ = self._active
        if name == 'bias':
            return (channels_out, )
        weight = self._parameters['weight']
        assert weight is not None
        return (channels_out, per_group, *weight.shape[2:])

    def sliced_attributes(self) -> Dict[str, Any]:
        channels_out, per_group, groups = self._active
        return dict(
            groups=groups,
            in_channels=groups * per_group,
            out_channels=channels_out)


_BASES = ((nn.LayerNorm, _SlicedLayerNorm), (nn.Conv2d, _SlicedConv2d),
          (nn.Linear, _SlicedLinear), (nn.Module, SlicedModule))
# Those that were made, by the plain class and the sliced parameters.
_CLASSES: Dict[Tuple[Type[nn.Module], Tuple[str, ...]], Any] = {}


def slice_module(module: nn.Module, axes: Dict[str, int],
                 out_channels: int) -> Any:
    """Makes a module run with the first channels of some of its parameters.

    In place; parameters and their names stay.

    Args:
        module: computes with its attributes, as they are when it runs.
        axes: of each parameter that is cut, the axis of its channels.
        out_channels: how many there are at full width.

    Returns:
        The module, a :class:`SlicedModule`.
    """
    sliced: Any = module
    plain = type(module)
    if isinstance(module, SlicedModule):
        plain, axes = module.plain_class, {**module.sliced_axes, **axes}
    elif isinstance(module, nn.Conv2d):
        sliced.full_groups = module.groups
        sliced.channels_in = module.in_channels
    elif isinstance(module, nn.Linear):
        sliced.channels_in = module.in_features
    sliced.sliced_axes = axes
    sliced.sliced_channels = sliced.active_out_channels = out_channels
    sliced.__class__ = _sliced_class(plain, tuple(axes))
    return sliced


def unslice_module(module: Any, cut: Any) -> None:
    """Leaves a plain module, as narrow as it runs.

    Args:
        module: a :class:`SlicedModule`; becomes what it was, in place.
        cut: takes the first entries of a parameter along its first axes.
    """
    parameters = {
        name: cut(value, *module.sizes_of(name))
        for name in module.sliced_axes
        if (value := module._parameters[name]) is not None
    }
    attributes = module.sliced_attributes()
    module.__class__ = module.plain_class
    for name in ('sliced_axes', 'sliced_channels', 'active_out_channels',
                 'channels_in', 'full_groups'):
        module.__dict__.pop(name, None)
    module.__dict__.update(attributes)
    module._parameters.update(parameters)


def _sliced_class(plain: Type[nn.Module], names: Tuple[str, ...]) -> Any:
    """A class like a module's, whose parameters are properties."""
    if (plain, names) in _CLASSES:
        return _CLASSES[plain, names]
    base: Any = next(base for kind, base in _BASES if issubclass(plain, kind))
    members: Dict[str, Any] = {
        name: property(partial(_first_channels, name=name))
        for name in names
    }
    if base is _SlicedLayerNorm:
        members['normalized_shape'] = property(_active_shape)
    if base is _SlicedConv2d:
        members['groups'] = property(_active_groups)
    made = type(f'Sliced{plain.__name__}', (base, plain),
                dict(members, plain_class=plain))
    _CLASSES[plain, names] = made
    return made


def _first_channels(module: Any, name: str) -> Any:
    value = module._parameters[name]
    if value is None:
        return None
    for axis, size in enumerate(module.sizes_of(name)):
        if value.shape[axis] != size:
            value = value.narrow(axis, 0, size)
    return value


def _active_groups(module: Any) -> int:
    return module.sliced_attributes()['groups']


def _active_shape(module: Any) -> Tuple[int, ...]:
    return module.sliced_attributes()['normalized_shape']
