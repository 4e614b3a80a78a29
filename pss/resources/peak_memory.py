"""How much memory a subnet's activations take at a time."""

import copy
import weakref
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    List,
    Optional,
    Set,
    Tuple,
)

import numpy as np
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from ..checks import check_integer
from ..registry import RESOURCES
from ..structures import CostTable, Subnet
from ..structures.cost_table import Scope
from ..supernet import Supernet, restoring, run_blank
from .scaled_layers import find_drivers, product_term

MIB = 2**20


@RESOURCES.register_module()
class PeakMemory:
    """Largest sum of the activations that are alive at a time, in MiB.

    In float32, with the image, without weights and the workspace inside of
    operators. Which activations are alive during which operator is the same for
    all subnets, and each grows with one width, so the peak is a maximum of
    sums.

    Args:
        batch_size: images at a time, at least 1.
    """

    unit = 'MiB'

    def __init__(self, batch_size: int = 1) -> None:
        self.batch_size = check_integer('batch_size', batch_size, least=1)

    def table(self, model: Supernet) -> CostTable:
        """The peaks of a supernet's subnets."""
        space = model.search_space
        model = copy.deepcopy(model)
        model.to('meta')
        sizes = np.array([
            _trace(model, Subnet(r, space.smallest.widths)).sizes
            for r in space.resolutions
        ]) * self.batch_size
        drivers = find_drivers(
            space, lambda subnet: {
                i: (size, )
                for i, size in enumerate(_trace(model, subnet).sizes)
            })
        grows = []
        for i, (driver, ) in drivers.items():
            channels = 1 if driver is None else space.smallest.widths[driver]
            grows.append(
                product_term(space, sizes[:, i] // channels,
                             [(driver, channels)]))
        return CostTable.merge(
            space, (_sum(grows, alive, space.shape)
                    for alive in _trace(model, space.smallest).moments),
            scale=MIB,
            combine='max')


def _sum(terms: List[Tuple[Scope, np.ndarray]], alive: FrozenSet[int],
         shape: Tuple[int, ...]) -> Tuple[Scope, np.ndarray]:
    """The sum of some terms, over all widths that they depend on."""
    scope = tuple(sorted({w for i in alive for w in terms[i][0]}))
    total = np.zeros([shape[0], *(shape[1 + w] for w in scope)], np.int64)
    for i in alive:
        mine, table = terms[i]
        sizes = [shape[1 + w] if w in mine else 1 for w in scope]
        total += table.reshape(-1, *sizes)
    return scope, total


def peak_bytes(model: Supernet, subnet: Subnet) -> int:
    """Measures a subnet's peak for one image, on the model's own device."""
    trace = _trace(model, subnet)
    return max(sum(trace.sizes[i] for i in alive) for alive in trace.moments)


class _Trace(TorchDispatchMode
             ):  # type: ignore[no-untyped-call] # untyped in torch
    """Notes what operators allocate, and what is alive after each.

    Attributes:
        sizes: bytes of every allocation, in the order of the program.
        moments: sets of allocations that were alive together.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # untyped in torch
        self.sizes: List[int] = []
        self.moments: Set[FrozenSet[int]] = set()
        # by storage: its allocation, and how many tensors share it
        self._alive: Dict[int, List[int]] = {}
        self._known: Set[int] = set()

    def __torch_dispatch__(self,
                           func: Callable[..., Any],
                           types: Iterable[type],
                           args: Tuple[Any, ...] = (),
                           kwargs: Optional[Dict[str, Any]] = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = any(
            self._note(t) for t in tree_flatten(out)[0]
            if isinstance(t, Tensor) and t.dim() > 1)
        if made:
            self.moments.add(frozenset(a for a, _ in self._alive.values()))
        return out

    def ignore(self, tensors: Iterable[Tensor]) -> None:
        """Leaves tensors out that were there before: parameters, buffers."""
        self._known |= {t.untyped_storage()._cdata for t in tensors}

    def _note(self, tensor: Tensor) -> bool:
        """Counts a tensor; returns whether its memory is newly allocated."""
        storage = tensor.untyped_storage()._cdata
        if storage in self._known:
            return False
        new = storage not in self._alive
        if new:
            self._alive[storage] = [len(self.sizes), 0]
            self.sizes.append(tensor.untyped_storage().nbytes())
        self._alive[storage][1] += 1
        weakref.finalize(tensor, self._release, storage)
        return new

    def _release(self, storage: int) -> None:
        self._alive[storage][1] -= 1
        if not self._alive[storage][1]:
            del self._alive[storage]


def _trace(model: Supernet, subnet: Subnet) -> _Trace:
    """Runs a subnet on a blank image."""
    trace = _Trace()
    with restoring(model), trace:
        trace.ignore([*model.parameters(), *model.buffers()])
        run_blank(model, subnet)
    return trace
