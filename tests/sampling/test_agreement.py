import numpy as np
import pytest

from pss.errors import InputError
from pss.sampling import rank_correlation


def test_rank_correlation():
    """Oracle: Spearman's formula without ties, 1 - 6 sum d^2 / (n (n^2 - 1));
    with ties, ranks by hand."""
    rng = np.random.default_rng(0)
    one, two = rng.permutation(9), rng.permutation(9)
    expected = 1 - 6 * ((one - two)**2).sum() / (9 * 80)
    assert rank_correlation(np.exp(one), two) == pytest.approx(expected)
    assert rank_correlation([1, 2, 3], [10, 30, 70]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    # ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3: covariance 4.5 of 4.5 and 5
    assert rank_correlation([1, 2, 2, 9],
                            [4, 5, 6, 7]) == pytest.approx(4.5 / (4.5 * 5)**0.5)


@pytest.mark.parametrize('one, two', [([], []), ([1.], [2.]),
                                      ([1., 1.], [1., 2.])])
def test_where_it_is_not_defined(one, two):
    """Oracle: the definition: a side without variance."""
    assert rank_correlation(one, two) is None


@pytest.mark.parametrize('one, two, words',
                         [([1., float('nan'), 3.], [1., 2., 3.], 'nan'),
                          ([1., 2., 3.], [1., 2., float('inf')], 'inf'),
                          ([1., 2., 3.], [1., 2.], '3 and 2 values')])
def test_values_without_an_order(one, two, words):
    """Oracle: the values in the message."""
    with pytest.raises(InputError, match=words):
        rank_correlation(one, two)
