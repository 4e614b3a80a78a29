"""Reads the state of the pools from a training's log, and draws it.

The log is MMEngine's ``vis_data/scalars.json``, one JSON object a line;
:class:`.PoolLogHook` writes the scalars read here.
"""

from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ..checks import is_number, shown
from ..errors import InputError
from ..files import FilePath, parse_json, read_text

# One panel each: the scalars' prefix, and the label of the axis.
PANELS = {
    'pool_fill': 'fill',
    'pool_best': 'best score',
    'pool_churn': 'churn since the last report',
    'pool_entropy': 'entropy of draws (nats)',
    'pool_spread': 'spread of scores in the level',
    'agreement': 'rank correlation of score\nand held-out accuracy',
}
PREFIXES = tuple(f'{panel}/' for panel in PANELS)


class Curve(NamedTuple):
    """One scalar of one pool."""
    resource: str
    level: float
    steps: List[int]
    values: List[float]


# By panel; ``agreement`` also has a curve of the resource ``all``.
PoolLog = Dict[str, List[Curve]]


def read_pool_log(paths: Sequence[FilePath]) -> PoolLog:
    """Reads the scalars of the pools.

    Args:
        paths: ``scalars.json`` files, or folders: the work directory of a run
            has one file for each time that it was started or resumed. Where
            several files have the same step, the last counts.

    Raises:
        InputError: if there is no log, a line of one cannot be read, or none
            has scalars of pools.
    """
    series: Dict[str, Dict[int, float]] = {}
    for path in _files(paths):
        for number, line in _lines(path):
            step = line.get('step')
            for name, value in line.items():
                if not name.startswith(PREFIXES):
                    continue
                if not is_number(value) or not is_number(step):
                    raise InputError(
                        f'{path}, line {number}: {name}={shown(value)} at '
                        f'step={shown(step)}: expected numbers')
                assert value is not None and step is not None
                series.setdefault(name, {})[int(step)] = float(value)
    if not series:
        raise InputError(f'{", ".join(map(str, paths))}: expected scalars of '
                         'pools, which pss.PoolLogHook writes')
    log: PoolLog = {panel: [] for panel in PANELS}
    for name, values in series.items():
        panel, _, pool = name.partition('/')
        resource, level = _pool(name, pool)
        steps = sorted(values)
        log[panel].append(
            Curve(resource, level, steps, [values[step] for step in steps]))
    return {panel: sorted(curves) for panel, curves in log.items()}


def _pool(name: str, pool: str) -> Tuple[str, float]:
    """Resource and level from a pool's name in the log."""
    resource, _, level = pool.rpartition('_')
    if pool == 'all':
        return pool, 0.
    try:
        return resource, float(level)
    except ValueError:
        raise InputError(f'{name}: {pool!r} is not a pool; expected a name '
                         "such as 'flops_80'") from None


def _files(paths: Sequence[FilePath]) -> List[Path]:
    """The logs, those of a folder in the order in which they were begun."""
    files: List[Path] = []
    for path in map(Path, paths):
        found = sorted(path.rglob('scalars.json')) if path.is_dir() else [path]
        if not found:
            raise InputError(f'{path}: expected a scalars.json in this folder')
        files += found
    return files


def _lines(path: Path) -> List[Tuple[int, dict]]:
    """A log's lines with their numbers. A last line that a killed run has cut
    off is left out."""
    lines = read_text(path).splitlines()
    read = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = parse_json(line)
        except InputError as error:
            if number == len(lines):
                break
            raise InputError(f'{path}, line {number}: expected JSON '
                             f'({error})') from None
        if not isinstance(entry, dict):
            raise InputError(f'{path}, line {number}: expected an object')
        read.append((number, entry))
    return read


def plot_pools(log: PoolLog, path: FilePath) -> None:
    """Draws the pools over the iterations: a row for each figure, a column for
    each resource, a line for each pool.

    Args:
        log: what :func:`read_pool_log` returned.
        path: the figure's file; its suffix sets the format.

    Raises:
        InputError: if the figure cannot be drawn or written.
    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    from .results import save_figure

    resources = sorted(
        {curve.resource
         for curves in log.values()
         for curve in curves} - {'all'}) or ['all']
    panels = [panel for panel in PANELS if log[panel]]
    figure, grid = plt.subplots(
        len(panels),
        len(resources),
        squeeze=False,
        sharex=True,
        figsize=(6.5 * len(resources), 2.2 * len(panels)),
        layout='constrained')
    for resource, column in zip(resources, grid.T):
        levels = sorted({
            curve.level
            for curves in log.values()
            for curve in curves if curve.resource == resource
        })
        colours = plt.get_cmap('viridis')
        norm = plt.Normalize(min(levels, default=0), max(levels, default=1))
        for panel, axes in zip(panels, column):
            for curve in log[panel]:
                if curve.resource == resource:
                    axes.plot(
                        curve.steps,
                        curve.values,
                        linewidth=1,
                        marker='.' if len(curve.steps) < 40 else None,
                        color=colours(norm(curve.level)))
                elif curve.resource == 'all':
                    axes.plot(curve.steps, curve.values, 'k.-', label='all')
                    axes.legend()
            axes.grid(alpha=0.3)
        figure.colorbar(
            plt.cm.ScalarMappable(norm, colours),
            ax=list(column),
            label=f'pool: {resource}')
        column[-1].set_xlabel('iteration')
    for panel, axes in zip(panels, grid[:, 0]):
        axes.set_ylabel(PANELS[panel])
    save_figure(figure, path)
