"""Builds a bank's networks, ready to run."""

import copy
import math
from typing import Dict, Tuple, Type, TypeVar, Union

import torch
from mmengine.registry import DefaultScope
from torch.overrides import TorchFunctionMode

from ..checks import shown
from ..errors import InputError, first_line
from ..models import (
    KeptNetwork,
    SharedWeights,
    SupernetClassifier,
    SupernetDetector,
)
from ..models.kept_network import kept_network
from ..registry import MODELS, importing_nothing
from ..structures import Subnet
from .bank import Bank, KeptSubnet
from .vocabularies import is_detector

_Network = TypeVar('_Network', SupernetClassifier, SupernetDetector)


def build_supernet(bank: Bank,
                   kind: Type[_Network],
                   device: Union[str, torch.device] = 'cpu') -> _Network:
    """The supernet of a bank, in evaluation mode, without gradients.

    Its running statistics are the largest subnet's.

    Args:
        bank: the bank.
        kind: the class that is expected: :class:`.SupernetClassifier` or
            :class:`.SupernetDetector`.
        device: where the supernet goes.

    Raises:
        InputError: if the bank's model cannot be built, is of another class, or
            its weights do not fit.
    """
    elements = sum(value.numel() for value in bank.weights.values())
    try:
        with importing_nothing(), DefaultScope.overwrite_default_scope(
                'mmdet' if is_detector(bank.model) else 'mmpretrain'), \
                _Allowance(4 * elements + 100_000_000):
            model = MODELS.build(copy.deepcopy(bank.model))
        if not isinstance(model, kind):
            raise TypeError(f'it is a {type(model).__name__}, not a '
                            f'pss.{kind.__name__}')
        _check_channels(model, bank)
        space = model.search_space
        for kept in bank.kept:
            space.validate(kept.subnet)
            _check_kept(kept, model, bank)
        if space.largest not in bank.statistics:
            raise InputError('bank: the largest subnet is missing')
        model.load_state_dict(bank.state_dict(space.largest), strict=True)
    except InputError:
        raise
    except Exception as error:  # classes raise anything for a wrong config
        raise InputError(
            'bank: its model config does not build a network '
            f'that its weights fit ({first_line(error)})') from None
    return model.to(device).requires_grad_(False).eval()


def _check_channels(model: _Network, bank: Bank) -> None:
    """Refuses images and a normalisation whose number of channels is not the
    model's."""
    channels = model.input_channels
    if bank.input_shape[0] != channels:
        raise InputError(f'bank: input_shape={list(bank.input_shape)}: '
                         f'expected {channels} channels, as the model has')
    normalisation = bank.model.get('data_preprocessor') or {}
    lengths = {
        len(normalisation[key])
        for key in ('mean', 'std') if normalisation.get(key) is not None
    }
    if len(lengths) > 1 or not lengths <= {1, channels}:
        raise InputError('bank: data_preprocessor: mean and std have '
                         f'{sorted(lengths)} values: expected {channels} each')


def _check_kept(kept: KeptSubnet, model: _Network, bank: Bank) -> None:
    """Refuses a smallest or largest subnet that is not the space's, and
    statistics that do not belong to exactly the model's batch norms."""
    space = model.search_space
    ends = dict(smallest=space.smallest, largest=space.largest)
    if kept.subnet != ends.get(kept.name, kept.subnet):
        raise InputError(f'bank: {kept.name}: {kept.subnet}: expected '
                         f'{ends[kept.name]}')
    found, wanted = set(bank.statistics[kept.subnet]), set(model.norms)
    if found != wanted:
        raise InputError(
            f'bank: the statistics of {kept.name} do not fit its layers '
            f'({shown(min(found ^ wanted))})')


class _Allowance(TorchFunctionMode):
    """Limits how many elements are allocated inside; more raise ValueError.

    A small file can describe a network of any size.

    Args:
        elements: the limit.
    """

    CREATING = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand,
                torch.randn)

    def __init__(self, elements: int) -> None:
        super().__init__()
        self.elements = elements

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in self.CREATING:
            size = kwargs.get('size', args)
            size = size[0] if size and isinstance(size[0], (list, tuple)) \
                else size
            self.elements -= math.prod(s for s in size if isinstance(s, int))
            if self.elements < 0:
                raise ValueError('it is far larger than the bank\'s weights')
        return function(*args, **kwargs)


def kept_networks(
        bank: Bank, model: SupernetClassifier,
        limit: float) -> Tuple[Dict[Subnet, KeptNetwork], SharedWeights]:
    """The plain networks of all kept subnets, over one set of weights.

    Args:
        bank: the bank.
        model: its supernet; from here on, the networks share its weights.
        limit: bytes of copies of weights, see :class:`.SharedWeights`.

    Returns:
        The network of each kept subnet, and what they share.

    Raises:
        InputError: if the statistics of a subnet do not fit its layers.
    """
    weights = SharedWeights(limit)
    device = next(model.parameters()).device
    networks = {}
    for kept in bank.kept:
        if kept.subnet in networks:
            continue
        statistics = {
            name: (mean.to(device), var.to(device))
            for name, (mean, var) in bank.statistics[kept.subnet].items()
        }
        try:
            networks[kept.subnet] = kept_network(model, kept.subnet, statistics,
                                                 weights)
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(f'bank: the statistics of {kept.name} do not '
                             f'fit its layers ({error})') from None
    return networks, weights
