import pytest

from pss.errors import InputError
from pss.sampling import exponential_decay
from pss.sampling.schedules import decay_of


def test_exponential_decay():
    """Oracle: SPEC: start at 0, start * ratio at 1, their geometric mean half
    way."""
    assert exponential_decay(0., 1., 0.01) == 1.
    assert exponential_decay(1., 2., 0.01) == pytest.approx(0.02)
    assert exponential_decay(0.5, 1., 0.01) == pytest.approx(0.1)


def test_what_a_config_leaves_out_is_the_papers():
    """Oracle: the paper's 1 and 0.01."""
    assert decay_of('p', {}) == (1., 0.01)
    assert decay_of('p', dict(ratio=1.)) == (1., 1.)
    assert decay_of('p', dict(start=0.5)) == (0.5, 0.01)


@pytest.mark.parametrize('cfg', [None, 1., [1., 0.01]])
def test_other_types(cfg):
    """Oracle: field and value in the message."""
    with pytest.raises(InputError, match='t=.*: expected start, ratio or both'):
        decay_of('t', cfg)
