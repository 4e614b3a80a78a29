"""A cost that is a sum of tables, each over few widths."""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .search_space import SearchSpace


@dataclass(frozen=True)
class CostTable:
    """What subnets cost in one resource, thousands at a time.

    The cost of a subnet is the sum of one entry of each table. A table depends
    on the resolution and on a few widths, its *scope*: the channels going into
    and out of a convolution, say. Summing is integer arithmetic where the
    tables are integers.

    Attributes:
        space: the space of the subnets.
        scopes: for each table, ascending positions in ``space.widths``.
        tables: for each scope, an array of shape ``(resolutions, choices of
            the scope's first width, choices of its second, ...)``.
        scale: how many of the tables' units make one of the resource's
            (tables in multiply-adds, resource in MFLOPs: 1,000,000).
    """
    space: SearchSpace
    scopes: Tuple[Tuple[int, ...], ...]
    tables: Tuple[np.ndarray, ...]
    scale: int = 1

    def total(self, codes: np.ndarray) -> np.ndarray:
        """Costs of ``codes`` (see :class:`SearchSpace`) in the tables' unit.

        Args:
            codes: integer array of shape ``(N, 1 + K)``.

        Returns:
            Array of shape ``(N, )``, of the tables' type.
        """
        columns = np.ascontiguousarray(np.asarray(codes).T)
        total = np.zeros(columns.shape[1], self.tables[0].dtype)
        for scope, table in zip(self.scopes, self.tables):
            flat = columns[0]
            for position, size in zip(scope, table.shape[1:]):
                flat = flat * size + columns[1 + position]
            total += table.ravel().take(flat)
        return total

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Costs of ``codes`` in the resource's unit, float64 ``(N, )``."""
        return self.total(codes) / self.scale
