"""Costs looked up in tables, each over few widths."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Dict, Iterable, List, Tuple

import numpy as np

from .search_space import SearchSpace

Scope = Tuple[int, ...]
# How the entries of a subnet are combined into its cost.
COMBINE = {'sum': np.add, 'max': np.maximum}


@dataclass(frozen=True)
class CostTable:
    """What subnets cost in one resource, thousands at a time.

    The cost of a subnet combines one entry of each table. A table depends on
    the resolution and on a few widths, its *scope*: the channels going into
    and out of a convolution, say. Summing is integer arithmetic where the
    tables are integers.

    Attributes:
        space: the space of the subnets.
        scopes: for each table, ascending positions in ``space.widths``.
        tables: for each scope, an array of shape ``(resolutions, choices of
            the scope's first width, choices of its second, ...)``.
        scale: how many of the tables' units make one of the resource's unit
            (tables in multiply-adds, resource in MFLOPs: 1,000,000).
        combine: ``sum`` of the entries (work, time), or their ``max`` (peaks).
    """
    space: SearchSpace
    scopes: Tuple[Scope, ...]
    tables: Tuple[np.ndarray, ...]
    scale: float = 1
    combine: str = 'sum'

    @classmethod
    def merge(cls,
              space: SearchSpace,
              terms: Iterable[Tuple[Scope, np.ndarray]],
              scale: float = 1,
              combine: str = 'sum') -> 'CostTable':
        """Builds a table of many terms, adding up those of the same scope."""
        merged: Dict[Scope, np.ndarray] = {}
        for scope, table in terms:
            merged[scope] = COMBINE[combine](merged[scope], table) \
                if scope in merged else table
        return cls(space, tuple(merged), tuple(merged.values()), scale, combine)

    def at_resolutions(self, positions: np.ndarray) -> 'CostTable':
        """The costs at some of the resolutions, whose positions these are."""
        return replace(
            self,
            space=self.space.at_resolutions(positions),
            tables=tuple(table[positions] for table in self.tables))

    def total(self, codes: np.ndarray) -> np.ndarray:
        """Returns the costs of ``codes`` in the tables' unit.

        Args:
            codes: integer array of shape ``(N, 1 + K)``, see
                :class:`.SearchSpace`.

        Returns:
            Array of shape ``(N, )``, of the tables' type.
        """
        columns = np.ascontiguousarray(np.asarray(codes).T)

        def entries(scope: Scope, table: np.ndarray) -> np.ndarray:
            flat = columns[0]
            for position, size in zip(scope, table.shape[1:]):
                flat = flat * size + columns[1 + position]
            found: np.ndarray = table.ravel().take(flat)
            return found

        first, *others = zip(self.scopes, self.tables)
        total = entries(*first)
        for scope, table in others:
            COMBINE[self.combine](total, entries(scope, table), out=total)
        return total

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Costs of ``codes`` in the resource's unit, float64 ``(N, )``."""
        return self.total(codes) / self.scale

    @cached_property
    def scaled(self) -> List[Tuple[Scope, np.ndarray]]:
        """Scopes and tables, in the resource's unit."""
        return self.times(np.ones(len(self.space.resolutions)))

    def times(self, factors: np.ndarray) -> List[Tuple[Scope, np.ndarray]]:
        """Scopes and tables, in the resource's unit, times a factor for each
        resolution ``(R, )``."""
        entries = factors[:, None] * self._entries
        found, start = [], 0
        for scope, table in zip(self.scopes, self.tables):
            end = start + table[0].size
            found.append((scope, entries[:, start:end].reshape(table.shape)))
            start = end
        return found

    @cached_property
    def _entries(self) -> np.ndarray:
        """All tables side by side, ``(R, entries)``, in the resource's unit."""
        num = len(self.space.resolutions)
        found: np.ndarray = np.concatenate(
            [table.reshape(num, -1) for table in self.tables], 1) / self.scale
        return found
