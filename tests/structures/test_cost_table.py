import numpy as np
import pytest

from pss.structures import CostTable, SearchSpace, Width

SPACE = SearchSpace([Width.of(32), Width.of(64)], [128, 160, 192])


@pytest.mark.parametrize('combine, by_hand', [('sum', sum), ('max', max)])
def test_costs_by_hand(combine, by_hand):
    """Oracle: a loop over subnets and tables, entry by entry."""
    rng = np.random.default_rng(0)
    first, second = SPACE.shape[1:]
    tables = {
        (0, ): rng.integers(0, 100, (3, first)),
        (0, 1): rng.integers(0, 100, (3, first, second)),
        (): rng.integers(0, 100, (3, ))
    }
    cost = CostTable(SPACE, tuple(tables), tuple(tables.values()), 10, combine)
    codes = SPACE.enumerate()
    expected = [
        by_hand([tables[
            0,
        ][r, a], tables[0, 1][r, a, b], tables[()][r]]) for r, a, b in codes
    ]
    assert cost.total(codes).tolist() == expected
    assert cost(codes) == pytest.approx(np.array(expected) / 10)
    assert cost.total(codes).tolist() == expected  # tables are not changed


def test_terms_of_one_scope_become_one_table():
    """Oracle: the sum of the costs of the terms."""
    shape = (3, SPACE.shape[1])
    terms = [((0, ), np.full(shape, 2)), ((0, ), np.full(shape, 3)),
             ((), np.array([1, 2, 3]))]
    merged = CostTable.merge(SPACE, terms)
    assert merged.scopes == ((0, ), ())
    codes = SPACE.enumerate()
    assert merged(codes).tolist() == (6. + codes[:, 0]).tolist()
