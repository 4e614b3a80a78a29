"""Verifying a latency table: its sums against measurements of whole subnets."""

import os
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np

from ..engine.runner.progress import logged
from ..files import FilePath
from ..models.classifiers.supernet_classifier import SupernetClassifier
from ..resources import LatencyTable, Timing
from ..sampling import rank_correlation
from ..structures import Subnet
from .latency_building import table_lock
from .profiler import Profiler


def verify_table(profiler: Profiler,
                 table: LatencyTable,
                 path: FilePath,
                 num: int,
                 seed: int = 0,
                 rounds: int = 3) -> Dict[str, Any]:
    """Compares a table's sums with measurements of whole subnets.

    The errors, and the factor that makes up for what sums leave out, are
    written into the table.

    Args:
        profiler: measures the subnets.
        table: of the same device.
        path: of the table.
        num: how many subnets, at least 3; drawn from the space's prior.
        seed: of the draw.
        rounds: how often to measure each subnet.

    Returns:
        The table's new field ``verification``, see :func:`prediction_errors`.

    Raises:
        InputError: if another process is building this table.
    """
    path = Path(os.path.realpath(path))
    with table_lock(path):
        return _verify(profiler, table, path, num, seed, rounds)


def _verify(profiler: Profiler, table: LatencyTable, path: Path, num: int,
            seed: int, rounds: int) -> Dict[str, Any]:
    subnets = _random_subnets(profiler.model, num, seed)
    table.header['scale'] = 1.
    sums = table.cost_table(profiler.model, str(path))(
        profiler.model.search_space.encode(subnets))
    what = f'Measuring {num} subnets'
    todo = list(subnets) * rounds
    timings = [
        profiler.measure(profiler.subnet(subnet))
        for subnet in logged(todo, len(todo), what)
    ]
    measured = np.array(
        [Timing.median(timings[i::num]).latency for i in range(num)])
    found = dict(
        prediction_errors(sums, measured),
        subnets=num,
        seed=seed,
        measured=[float(measured.min()),
                  float(measured.max())])
    table.header['scale'] = found['scale']
    table.header['verification'] = found
    table.write(path)
    return found


def prediction_errors(predicted: np.ndarray,
                      measured: np.ndarray) -> Dict[str, Any]:
    """How far predicted latencies are from measured ones.

    Args:
        predicted: sums of a table's blocks, in microseconds.
        measured: latencies of the same subnets, in microseconds.

    Returns:
        ``scale``, the factor that makes up for what sums leave out (the
        geometric mean of the ratios); ``mean_relative_error`` and
        ``worst_relative_error`` after scaling; ``rank_correlation``
        (Spearman's; ``None`` if all sums or all measurements are equal).
    """
    scale = float(np.exp(np.log(measured / predicted).mean()))
    errors = np.abs(scale * predicted / measured - 1)
    return dict(
        scale=scale,
        mean_relative_error=float(errors.mean()),
        worst_relative_error=float(errors.max()),
        rank_correlation=rank_correlation(predicted.tolist(),
                                          measured.tolist()))


def _random_subnets(model: SupernetClassifier, num: int,
                    seed: int) -> Tuple[Subnet, ...]:
    """Subnets drawn from the prior of a supernet's space."""
    rng = np.random.default_rng(seed)
    return tuple(model.search_space.decode(model.search_space.random(rng, num)))
