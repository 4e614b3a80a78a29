import numpy as np
import pytest

from pss.profiling.latency_building import build_table
from pss.profiling.verification import prediction_errors, verify_table
from pss.resources import LatencyTable

from .conftest import Counting


def test_prediction_errors():
    """Oracle: by hand: all predictions but one are half of the measurement, and
    two ranks are exchanged."""
    measured = np.array([200., 400., 410., 800., 900.])
    predicted = np.array([100., 210., 205., 400., 450.])
    found = prediction_errors(predicted, measured)
    scale = (2.**4 * 400 / 210)**0.2
    errors = np.abs(scale * predicted / measured - 1)
    assert found['scale'] == pytest.approx(scale)
    assert found['mean_relative_error'] == pytest.approx(errors.mean())
    assert found['worst_relative_error'] == pytest.approx(errors.max())
    # one exchange of neighbours: 1 - 6 * (1 + 1) / (5 * 24)
    assert found['rank_correlation'] == pytest.approx(0.9)
    # a tie shares its ranks: (1.5, 1.5, 3) against (1, 2, 3)
    tied = prediction_errors(np.array([1., 1., 2.]), np.array([1., 2., 3.]))
    assert tied['rank_correlation'] == pytest.approx(3**0.5 / 2)
    flat = prediction_errors(np.ones(3), np.array([1., 2., 3.]))
    assert flat['rank_correlation'] is None


def test_verification_is_written(model, tmp_path):
    """Oracle: the file has the errors and the scale, and lookups use the
    scale."""
    path = tmp_path / 'cpu.json'
    profiler = Counting(model)
    table = build_table(profiler, path, rounds=1)
    codes = model.search_space.random(np.random.default_rng(0), 5)
    plain = table.cost_table(model, 'table')(codes)
    found = verify_table(profiler, table, path, num=4, rounds=1)
    again = LatencyTable.read(path)
    assert again.header['verification'] == found
    assert again.header['scale'] == found['scale'] > 0
    assert found['subnets'] == 4 and -1 <= found['rank_correlation'] <= 1
    scaled = again.cost_table(model, 'table')(codes)
    assert scaled == pytest.approx(plain * found['scale'])
