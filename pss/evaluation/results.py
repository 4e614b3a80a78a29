"""The results of a supernet: the kept subnets, their costs and accuracies.

``{"resources": {"flops": "MFLOPs", ...}, "largest": R, "smallest": R, "pools":
[{"resource": "flops", "level": 5.0, ...R}]}`` with R = ``{"subnet":
{"resolution": int, "widths": [int]}, "mflops": float, "top1": float, ...}``,
accuracies in percent. Costs in other resources have the resource's name as
their key; ``resources`` has the units. Optional are standard
errors of accuracies in points, such as ``top1_se``, what a search expects of a
subnet, ``expected_top1``, and all subnets that were compared, with their
accuracies on so many held-out images: ``"evaluated": [{"subnet": ...,
"mflops": float, "images": int, "held_out_top1": float, ...}]``.
"""

import csv
import io
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

from tabulate import tabulate

from ..checks import is_integer, shown
from ..errors import InputError
from ..files import FilePath, read_json, whole_file, write_json, write_text
from ..resources import cost_field
from ..structures import Subnet, level_name

Results = Dict[str, Any]


def rows_of(results: Results) -> List[Dict[str, Any]]:
    """A flat row for each subnet, the smallest first."""
    rows = [dict(pool='smallest', **results['smallest'])]
    rows += [
        dict(pool=level_name(r['resource'], r['level']), **r)
        for r in results['pools']
    ]
    rows.append(dict(pool='largest', **results['largest']))
    for row in rows:
        subnet = row.pop('subnet')
        row.update(
            resolution=subnet['resolution'],
            widths=' '.join(map(str, subnet['widths'])))
    return rows


def results_table(results: Results, style: str = 'simple') -> str:
    """A table to read.

    Args:
        results: what the test loop found.
        style: one of ``tabulate``'s formats.
    """
    columns = {'pool': 'pool', 'resolution': 'resolution', 'widths': 'widths'}
    columns.update({
        cost_field(name): label_of(results, name)
        for name in units_of(results)
    })
    formats = {c: cost_format(c) for c in ('mflops', *list(columns)[3:])}
    columns.update(held_out_top1='held-out top-1', top1='test top-1')
    rows = rows_of(results)
    # metrics other than top-1 keep the evaluator's names
    columns.update({
        c: c
        for row in rows
        for c, value in row.items()
        if isinstance(value, float) and c not in columns and c not in (
            'level',
            'score') and not c.startswith('expected_') and not c.endswith('_se')
    })
    shown = [c for c in columns if any(c in row for row in rows)]

    def cell(row: Dict[str, Any], column: str) -> Any:
        value, error = row.get(column), row.get(f'{column}_se')
        if error is None or not isinstance(value, (int, float)):
            return value
        return f'{value:.2f} ± {error:.2f}'

    return tabulate([[cell(row, c) for c in shown] for row in rows],
                    headers=[columns[c] for c in shown],
                    floatfmt=[formats.get(c, '.2f') for c in shown],
                    tablefmt=style,
                    disable_numparse=[shown.index('widths')])


def units_of(results: Results) -> Dict[str, str]:
    """The resources whose costs are in results, and their units."""
    return dict(results.get('resources') or {'flops': 'MFLOPs'})


def label_of(results: Results, resource: str) -> str:
    """The heading of a column of costs, and the label of an axis."""
    unit = units_of(results)[resource]
    return unit if resource == 'flops' else f'{resource} ({unit})'


def cost_format(field: str) -> str:
    """How a cost is formatted, by its field."""
    return '.3f' if field == 'mflops' else '.5g'


def kept_for(results: Results, resource: str) -> List[Dict[str, Any]]:
    """The best of each of a resource's pools, or of all pools if it has none,
    the cheapest first."""
    pools = sorted(results['pools'], key=lambda r: r[cost_field(resource)])
    return [r for r in pools if r['resource'] == resource] or pools


def check_costs(named: Dict[str, Results], resource: str) -> None:
    """Checks that results can be compared by a resource.

    Args:
        named: results by their name.
        resource: names the cost.

    Raises:
        InputError: if one has no such cost, or their units differ.
    """
    for name, results in named.items():
        if resource not in units_of(results):
            raise InputError(f'{name}: no costs in {resource!r}; expected one '
                             f'of {", ".join(units_of(results))}')
    units = {units_of(results)[resource] for results in named.values()}
    if len(units) > 1:
        raise InputError(f'costs in {resource!r} have different units: '
                         f'{", ".join(sorted(units))}; expected one unit')


def write_results(results: Results, path: FilePath) -> None:
    """Writes results as JSON."""
    write_json(results, path)


def write_csv(results: Results, path: FilePath) -> None:
    """Writes results as CSV, a row for each subnet."""
    write_text(csv_text(rows_of(results)), path)


def csv_text(rows: Sequence[Dict[str, Any]]) -> str:
    """Rows as CSV, with a header."""
    text = io.StringIO()
    fields = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, fields, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def report_results(results: Results, out: FilePath) -> None:
    """Writes results as JSON, CSV, plots and a page to explore, and prints them
    as a table.

    Args:
        results: what the test loop found.
        out: the JSON file; the others have the same name.
    """
    from .interactive import write_page  # it imports this module

    out = Path(out)
    write_results(results, out)
    write_csv(results, out.with_suffix('.csv'))
    written = [out.with_suffix('.csv')]
    if 'top1' in results['largest']:
        for resource in units_of(results):
            plot = out.with_suffix('.png') if resource == 'flops' \
                else out.with_name(f'{out.stem}_{resource}.png')
            plot_results({out.stem: results}, plot, resource)
            written.append(plot)
        page = out.with_suffix('.html')
        write_page({names_of([out])[0]: results}, page)
        written.append(page)
    print(f'\nResults: {out}, and beside it '
          f'{", ".join(path.name for path in written)}\n')
    print(results_table(results))


def read_results(path: FilePath, subnets: bool = True) -> Results:
    """Reads and checks results.

    Args:
        path: the JSON file.
        subnets: whether the kept subnets themselves are required; published
            figures may lack them.

    Raises:
        InputError: it names the field that is missing or wrong.
    """
    results = read_json(path)
    if not isinstance(results, dict):
        raise InputError(f'{path}: expected an object with largest, smallest '
                         f'and pools, found {type(results).__name__}')
    for key in ('largest', 'smallest', 'pools'):
        if key not in results:
            raise InputError(f'{path}: field {key!r} is missing')
    entries = {'largest': results['largest'], 'smallest': results['smallest']}
    for key in ('pools', 'evaluated'):
        rows = results.get(key, [])
        if not isinstance(rows, list):
            raise InputError(f'{path}: {key}={shown(rows)}: expected a list')
        entries.update({f'{key}[{i}]': row for i, row in enumerate(rows)})
    units = results.get('resources', {})
    if not isinstance(units, dict) or not all(
            isinstance(unit, str) for unit in units.values()):
        raise InputError(f'{path}: resources={shown(units)}: expected the '
                         'unit of each resource')
    for key, is_valid, kind in (('method', is_name, 'a name'),
                                ('train_seconds', _is_number, 'a number')):
        if key in results and not is_valid(results[key]):
            raise InputError(f'{path}: {key}={shown(results[key])}: expected '
                             f'{kind}')
    for where, row in entries.items():
        if not isinstance(row, dict):
            raise InputError(f'{path}: {where}={shown(row)}: expected an '
                             'object')
        fields = {key: _ERROR for key in row if key.endswith('_se')}
        fields.update(
            dict.fromkeys(['mflops', *map(cost_field, units)], _NUMBER))
        if where.startswith('evaluated'):
            fields.update(images=_COUNT)
        else:
            fields.update(top1=_NUMBER)
        if where.startswith('pools'):
            fields.update(resource=_TEXT, level=_NUMBER)
        if subnets:
            fields.update(subnet=_OBJECT)
        fields.update({
            key: kind
            for key, kind in _OPTIONAL.items() if key in row
        })
        for key, (check, kind) in fields.items():
            if key not in row:
                raise InputError(f'{path}: {where}.{key} is missing; expected '
                                 f'{kind}')
            if not check(row[key]):
                raise InputError(f'{path}: {where}.{key}={shown(row[key])}: '
                                 f'expected {kind}')
        try:
            if 'subnet' in row:
                Subnet.from_dict(row['subnet'])
        except InputError as error:
            raise InputError(f'{path}: {where}.subnet: {error}') from None
    return results


def names_of(paths: Sequence[FilePath]) -> List[str]:
    """A unique name for each results file, from its path."""
    parents = [Path(path).resolve().parent.name for path in paths]
    stems = [Path(path).stem for path in paths]
    for names in (parents, stems, [f'{p}/{s}' for p, s in zip(parents, stems)]):
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def is_name(value: Any) -> bool:
    """Whether a value is a text that tables and figures can show."""
    return isinstance(value, str) and bool(value.strip()) and \
        value.isprintable()


def _is_number(value: Any) -> bool:
    """Whether a value is a number that can be drawn: Python reads NaN and
    infinity from JSON too."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) \
        and abs(value) < 1e300


# A check of a field, and what it expects.
_Kind = Tuple[Callable[[Any], bool], str]
_NUMBER: _Kind = (_is_number, 'a number')
_ERROR: _Kind = (lambda x: _is_number(x) and x >= 0, 'a number of at least 0')
_COUNT: _Kind = (lambda x: is_integer(x) and x > 0, 'an integer above 0')
_TEXT: _Kind = (lambda x: isinstance(x, str), 'a text')
_OBJECT: _Kind = (lambda x: isinstance(x, dict), 'an object')
_OPTIONAL = dict.fromkeys(('held_out_top1', 'expected_top1', 'score', 'top5'),
                          _NUMBER)


def plot_results(named: Dict[str, Results],
                 path: FilePath,
                 resource: str = 'flops') -> None:
    """Draws top-1 against a cost, for one or several results in one figure.

    Shown are the best of each of the resource's pools, or of all pools if the
    resource has none, and the ends of the space.

    Args:
        named: results by their name in the legend.
        path: the figure's file; its suffix sets the format.
        resource: names the cost.

    Raises:
        InputError: if a result has no such cost, units differ, or the figure
            cannot be drawn or written.
    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    check_costs(named, resource)
    figure, axes = plt.subplots(figsize=(7, 4.5), layout='constrained')
    field = cost_field(resource)
    several = len(named) > 1
    for i, (name, results) in enumerate(named.items()):
        prefix = f'{name}: ' if several else ''
        _scatter(axes, kept_for(results, resource), field, 'o-', f'C{i}',
                 f'{prefix}best of each pool')
        _scatter(axes, [results['smallest']], field, 'v', f'C{i}',
                 f'{prefix}smallest')
        _scatter(axes, [results['largest']], field, '^', f'C{i}',
                 f'{prefix}largest')
    axes.set_xlabel(label_of(next(iter(named.values())), resource))
    axes.set_ylabel('top-1 accuracy (%)')
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, path)


def save_figure(figure: Any, path: FilePath) -> None:
    """Writes a matplotlib figure atomically, and closes it.

    Raises:
        InputError: if it cannot be drawn or written.
    """
    from matplotlib import pyplot as plt
    try:
        with whole_file(path) as file:
            figure.savefig(file, dpi=150, format=Path(path).suffix[1:] or None)
    except InputError:
        raise
    except ValueError as error:  # an unknown format
        raise InputError(f'{path}: cannot be drawn ({error})') from None
    finally:
        plt.close(figure)


def _scatter(axes: Any, rows: Sequence[Dict[str, Any]], field: str, style: str,
             colour: str, label: str) -> None:
    axes.plot([r[field] for r in rows], [r['top1'] for r in rows],
              style,
              color=colour,
              label=label,
              markersize=7 if len(rows) == 1 else 5)
