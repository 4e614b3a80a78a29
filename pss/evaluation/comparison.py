"""Methods side by side: top-1 at matched costs, means and errors over runs.

A run's curve is linear between the subnets that it kept, its largest and its
smallest. Curves are compared by their heights at some levels, and by the area
under them over the range of costs that all reach, divided by that range: a mean
top-1.
"""

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from tabulate import tabulate

from ..errors import InputError
from ..files import FilePath, write_json, write_text
from ..resources import cost_field
from .results import Results, csv_text, label_of, save_figure, units_of

# The runs of each method, by the method's name in tables.
Runs = Dict[str, List[Results]]
# {"reference": str, "resource": str, "unit": str, "range": [low, high],
#  "levels": [...], "methods": [...]}, see compare_methods().
Comparison = Dict[str, Any]


def curve_of(results: Results,
             resource: str = 'flops') -> Tuple[np.ndarray, np.ndarray]:
    """Costs, ascending, and top-1 of the kept subnets.

    They are those of the resource's pools, or of all pools if the resource has
    none, and the ends of the space. Of subnets with the same cost the best
    counts.

    Raises:
        InputError: if the results have no such cost, a pool's resource is not
            one of theirs, or a figure is out of its range.
    """
    units, field = units_of(results), cost_field(resource)
    if resource not in units:
        raise InputError(f'resource={resource!r}: expected one of '
                         f'{", ".join(units)}')
    for i, row in enumerate(results['pools']):
        if row['resource'] not in units:
            raise InputError(f'pools[{i}].resource={row["resource"]!r}: '
                             f'expected one of {", ".join(units)}')
    pools = results['pools']
    pools = [r for r in pools if r['resource'] == resource] or pools
    best: Dict[float, float] = {}
    for row in (results['smallest'], *pools, results['largest']):
        cost, top1 = float(row[field]), float(row['top1'])
        if not 0 <= top1 <= 100 or cost <= 0:
            raise InputError(f'{field}={cost:g}, top1={top1:g}: expected '
                             'costs above 0 and accuracies from 0 to 100')
        best[cost] = max(best.get(cost, top1), top1)
    costs = np.array(sorted(best))
    return costs, np.array([best[cost] for cost in costs])


def height(curve: Tuple[np.ndarray, np.ndarray],
           level: float) -> Optional[float]:
    """A curve's top-1 at a cost; ``None`` outside the curve."""
    costs, top1 = curve
    if not costs[0] <= level <= costs[-1]:
        return None
    return float(np.interp(level, costs, top1))


def area(curve: Tuple[np.ndarray, np.ndarray], low: float,
         high: float) -> float:
    """A curve's mean top-1 over a range of costs, all on the curve."""
    costs, top1 = curve
    inside = costs[(costs > low) & (costs < high)]
    x = np.array([low, *inside, high])
    y = np.interp(x, costs, top1)
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum() / (high - low))


def mean_and_std(values: Sequence[float]) -> Dict[str, Optional[float]]:
    """``mean`` and sample standard deviation ``std``, which is ``None`` for a
    single value."""
    return dict(
        mean=float(np.mean(values)),
        std=float(np.std(values, ddof=1)) if len(values) > 1 else None)


def difference(one: Sequence[float],
               other: Sequence[float]) -> Dict[str, Optional[float]]:
    """The ``mean`` of ``one`` minus that of ``other``, and its
    ``standard_error`` for independent samples of unequal variance (Welch),
    which is ``None`` if either has a single value."""
    error = None
    if len(one) > 1 and len(other) > 1:
        error = float(
            np.sqrt(
                np.var(one, ddof=1) / len(one) +
                np.var(other, ddof=1) / len(other)))
    return dict(mean=float(np.mean(one) - np.mean(other)), standard_error=error)


def paired_difference(one: Dict[int, float],
                      other: Dict[int, float]) -> Dict[str, Optional[float]]:
    """The ``mean`` over seeds of ``one`` minus ``other``, and its
    ``standard_error``, which is ``None`` for a single seed.

    Runs of one seed share initial weights and images, so what these do to both
    cancels.

    Args:
        one, other: values by seed; seeds that only one of them has do not
            count.
    """
    gaps = np.array(
        [value - other[seed] for seed, value in one.items() if seed in other])
    error = float(gaps.std(ddof=1) / np.sqrt(len(gaps))) \
        if len(gaps) > 1 else None
    return dict(mean=float(gaps.mean()), standard_error=error)


def compare_methods(runs: Runs,
                    reference: str,
                    levels: Optional[Sequence[float]] = None,
                    resource: str = 'flops') -> Comparison:
    """Compares methods at matched costs.

    Args:
        runs: the results of each method's runs. ``train_seconds`` is compared
            too where all runs of a method have it. Methods are compared seed by
            seed where all their runs have different ``seed`` fields and one
            method has at least those of the other.
        reference: the method that the others are subtracted from.
        levels: the costs to compare at; some round ones by default.
        resource: names the cost.

    Returns:
        ``range`` (of costs that all runs reach), ``levels``, and for each of
        ``methods`` its name ``method``, the number of its ``runs``, and for
        each of ``levels`` and for the ``area`` the ``mean`` and ``std`` of
        top-1. Methods other than the reference also have ``difference``: the
        ``mean`` and ``standard_error`` of the reference minus the method. A
        level that one of the method's runs does not reach is ``None``.

    Raises:
        InputError: if there is nothing to compare.
    """
    if reference not in runs:
        raise InputError(f'reference={reference!r}: expected one of the '
                         f'methods {", ".join(runs)}')
    curves = {
        name: _curves(name, group, resource)
        for name, group in runs.items()
    }
    units = {
        units_of(results)[resource]
        for group in runs.values()
        for results in group
    }
    if len(units) > 1:
        raise InputError(f'costs in {resource!r} have different units: '
                         f'{", ".join(sorted(units))}')
    every = [costs for group in curves.values() for costs, _ in group]
    low = max(float(costs[0]) for costs in every)
    high = min(float(costs[-1]) for costs in every)
    if not low < high:
        raise InputError(f'no cost in {resource!r} is reached by all results: '
                         f'one begins at {low:g}, another ends at {high:g}')
    levels = check_levels(levels, every) if levels else round_levels(low, high)
    values = {
        name: {
            'area': [area(curve, low, high) for curve in group],
            **{
                level: [height(curve, level) for curve in group]
                for level in levels
            }
        }
        for name, group in curves.items()
    }

    def figures(name: str, key: Any) -> Optional[Dict[str, Any]]:
        mine, other = values[name][key], values[reference][key]
        if None in mine:
            return None
        found: Dict[str, Any] = mean_and_std(mine)
        if name != reference and None not in other:
            pair = [
                dict(zip(seeds_of(runs[reference]), other)),
                dict(zip(seeds_of(runs[name]), mine))
            ]
            few, many = sorted(pair, key=len)
            found['difference'] = paired_difference(*pair) \
                if few and few.keys() <= many.keys() else \
                difference(other, mine)
        return found

    methods = []
    for name, group in runs.items():
        times = [results.get('train_seconds') for results in group]
        seconds = [time for time in times if time is not None]
        methods.append(
            dict(
                method=name,
                runs=len(group),
                levels=[figures(name, level) for level in levels],
                area=figures(name, 'area'),
                train_seconds=mean_and_std(seconds)
                if len(seconds) == len(group) else None))
    return dict(
        reference=reference,
        resource=resource,
        unit=units.pop(),
        range=[low, high],
        levels=levels,
        methods=methods)


def seeds_of(group: Sequence[Results]) -> List[int]:
    """The seeds of a method's runs; empty if they do not tell runs apart."""
    seeds = [results.get('seed') for results in group]
    return [s for s in seeds if s is not None] \
        if None not in seeds and len(set(seeds)) == len(seeds) else []


def _curves(name: str, group: Sequence[Results],
            resource: str) -> List[Tuple[np.ndarray, np.ndarray]]:
    try:
        return [curve_of(results, resource) for results in group]
    except InputError as error:
        raise InputError(f'{name}: {error}') from None


def check_levels(levels: Sequence[float],
                 every: Sequence[np.ndarray]) -> List[float]:
    """Sorts the levels that were asked for.

    Args:
        levels: the levels.
        every: the costs of each run's subnets, ascending.

    Raises:
        InputError: for a level that appears twice, or that no run reaches.
    """
    low, high = (pick(costs[end] for costs in every)
                 for pick, end in ((min, 0), (max, -1)))
    for level in levels:
        if not low <= level <= high:
            raise InputError(f'levels: {level:g} is not reached; expected '
                             f'{low:g} to {high:g}')
    if len(set(levels)) < len(levels):
        raise InputError(f'levels={list(levels)}: one appears twice')
    return sorted(levels)


def round_levels(low: float, high: float) -> List[float]:
    """Five to ten round numbers inside a range."""
    from matplotlib.ticker import MaxNLocator
    ticks = MaxNLocator(
        nbins=9, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(f'{tick:.12g}') for tick in ticks if low <= tick <= high]


def comparison_table(comparison: Comparison, style: str = 'github') -> str:
    """A table to read, in Markdown by default.

    Args:
        comparison: see :func:`compare_methods`.
        style: one of ``tabulate``'s formats.
    """
    reference, unit = comparison['reference'], comparison['unit']
    timed = any(row['train_seconds'] for row in comparison['methods'])
    compared = len(comparison['methods']) > 1
    headers = [
        'method', 'runs', *(f'{level:.7g} {unit}'
                            for level in comparison['levels']), 'area',
        *([f'{reference} minus it'] if compared else []),
        *(['training (s)'] if timed else [])
    ]
    rows = []
    for row in comparison['methods']:
        gap = row['area'].get('difference')
        rows.append([
            row['method'].replace('|', r'\|'), row['runs'],
            *(_figure(found, 'std') for found in (*row['levels'], row['area'])),
            *([_figure(gap, 'standard_error', '+.2f')] if compared else []),
            *([_figure(row['train_seconds'], 'std', '.0f')] if timed else [])
        ])
    return tabulate(
        rows, headers=headers, tablefmt=style, disable_numparse=True)


def _figure(found: Optional[Dict[str, Any]],
            error: str,
            style: str = '.2f') -> str:
    if not found:
        return '-'
    text = format(found['mean'], style)
    if found[error] is not None:
        text += f' ± {found[error]:{style.lstrip("+")}}'
    return text


def caption_of(comparison: Comparison) -> str:
    """Says what the figures of a comparison's table are."""
    low, high = comparison['range']
    text = (
        'Top-1 in percent, ± standard deviation over the runs; a run is one '
        'training, and its seed sets the initial weights, the order of the '
        'images and the draws of subnets. `area`: the mean top-1 over '
        f'{low:.4g} to {high:.4g} {comparison["unit"]}, which all reach.')
    if len(comparison['methods']) > 1:
        text += (
            f' `{comparison["reference"]} minus it`: the difference of '
            'areas, ± the standard error of that mean over the runs, '
            'paired by seed where one has at least the seeds of the other.')
    return text


def comparison_rows(comparison: Comparison) -> List[Dict[str, Any]]:
    """A flat row for each method and level, and for each area."""
    rows = []
    for row in comparison['methods']:
        named = [
            *zip(comparison['levels'], row['levels']), ('area', row['area'])
        ]
        for level, found in named:
            found = found or {}
            gap = found.get('difference') or {}
            rows.append(
                dict(
                    method=row['method'],
                    runs=row['runs'],
                    level=level,
                    top1_mean=found.get('mean'),
                    top1_std=found.get('std'),
                    reference_minus_it=gap.get('mean'),
                    standard_error=gap.get('standard_error')))
    return rows


def plot_comparison(panels: Dict[str, Runs],
                    path: FilePath,
                    resource: str = 'flops') -> None:
    """Draws the methods' mean curves, a band of one standard deviation around
    them, and the kept subnets of all runs.

    Args:
        panels: the runs of each panel, by its title.
        path: the figure's file; its suffix sets the format.
        resource: names the cost.

    Raises:
        InputError: if the figure cannot be drawn or written.
    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, grid = plt.subplots(
        1,
        len(panels),
        squeeze=False,
        sharey=True,
        figsize=(7 * len(panels), 4.5),
        layout='constrained')
    names = list(
        dict.fromkeys(name for runs in panels.values() for name in runs))
    for axes, (title, runs) in zip(grid[0], panels.items()):
        lines = [
            _draw(axes, _curves(name, group, resource), f'C{names.index(name)}')
            for name, group in runs.items()
        ]
        axes.set_title(title)
        axes.set_xlabel(label_of(next(iter(runs.values()))[0], resource))
        axes.grid(alpha=0.3)
        # a dollar sign would begin a formula
        axes.legend(lines, [name.replace('$', r'\$') for name in runs])
    grid[0][0].set_ylabel('top-1 accuracy (%)')
    save_figure(figure, path)


def _draw(axes: Any, curves: Sequence[Tuple[np.ndarray, np.ndarray]],
          colour: str) -> Any:
    """Draws one method and returns its line."""
    low = max(costs[0] for costs, _ in curves)
    high = min(costs[-1] for costs, _ in curves)
    x = np.linspace(low, high, 400)
    heights = np.stack([np.interp(x, *curve) for curve in curves])
    mean = heights.mean(0)
    line, = axes.plot(x, mean, color=colour)
    if len(curves) > 1:
        std = heights.std(0, ddof=1)
        axes.fill_between(
            x, mean - std, mean + std, color=colour, alpha=0.15, linewidth=0)
    for costs, top1 in curves:
        axes.plot(costs, top1, '.', color=colour, markersize=4)
    return line


def report_comparison(comparison: Comparison, runs: Runs,
                      out: FilePath) -> List[Path]:
    """Writes a comparison as JSON, CSV, Markdown and a figure.

    Args:
        comparison: see :func:`compare_methods`.
        runs: what was compared, by method.
        out: the JSON file; the others differ in the suffix.

    Returns:
        The files, in that order.
    """
    files = report_files(out)
    plot_comparison({'': runs}, files[3], comparison['resource'])
    write_text(
        f'{comparison_table(comparison)}\n\n'
        f'{caption_of(comparison)}\n', files[2])
    write_text(csv_text(comparison_rows(comparison)), files[1])
    write_json(comparison, files[0])
    return files


def report_files(out: FilePath) -> List[Path]:
    """The files of a report: JSON, CSV, Markdown and a figure.

    Raises:
        InputError: if ``out`` does not end in .json, or one is a folder.
    """
    if Path(out).suffix != '.json':
        raise InputError(f'out={str(out)!r}: expected a name that ends in '
                         '.json')
    files = [Path(out).with_suffix(s) for s in ('.json', '.csv', '.md', '.png')]
    for file in files:
        if file.is_dir():
            raise InputError(f'{file}: is a folder')
    return files
