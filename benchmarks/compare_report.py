"""The tables and the figure of what benchmarks/compare.py ran."""

from typing import Any, Callable, Dict, List

from tabulate import tabulate

from pss.evaluation import (
    caption_of,
    compare_methods,
    comparison_rows,
    comparison_table,
    csv_text,
    plot_comparison,
    rank_summary,
    report_files,
)
from pss.evaluation.comparison import mean_and_std
from pss.files import write_json, write_text

NAMES = dict(
    pss='PSS-Net',
    random='Random',
    mutualnet='MutualNet',
    usnet='US-Net',
    pss_pool_size_1='pool size 1',
    pss_pool_size_10='pool size 10',
    pss_p_constant='constant p',
    pss_draw_uniform='uniform drawing',
    pss_momentum_0='no score smoothing')
REFERENCE = NAMES['pss']
RANK_NOTES = """\
Pool scores against held-out accuracy, PSS-Net, mean ± standard deviation over
the seeds. `correlation` is Spearman's, over the pool's subnets; `halves` is
that of their accuracies on one half of the held-out images and on the other, so
scores can hardly agree better than its square root. `behind best` is how far
the best subnet by score is behind the best of all, in points of held-out
accuracy; `fair`: the best of all is chosen on one half of the images and
measured on the other. `five tried`: of the best five by score the best on
held-out images is kept, as training does. `ahead of draws`: mean accuracy of
the pool's subnets, above that of ten others of its level."""


def report_study(study: Dict[str, Any], out: str) -> None:
    """Writes JSON, CSV, Markdown and a figure, and prints the tables.

    Args:
        study: ``iterations``, ``runs`` and where they come from.
        out: the JSON file; the others get the same name.
    """
    runs, full = study['runs'], study['iterations']
    passes = full * 3
    panels = {
        f'{full} iterations':
        _group(
            runs,
            lambda r: r['iterations'] == full and r['variant'] == r['method']),
        f'{passes} network passes':
        _group(
            runs, lambda r: passes - 4 < r['iterations'] * r['passes'] <= passes
            and r['variant'] == r['method']),
    }
    pieces = _group(runs, lambda r: r['method'] == 'pss')
    comparisons = {
        title: compare_methods(group, REFERENCE)
        for title, group in (*panels.items(), ('pieces', pieces))
    }
    ranks = _ranks([rank_summary(r['ranks']) for r in runs if 'ranks' in r])
    rows = [
        dict(setting=title, **row) for title, found in comparisons.items()
        for row in comparison_rows(found)
    ]
    text = _text(study, comparisons, ranks)
    files = report_files(out)
    plot_comparison(panels, files[3])
    write_text(text, files[2])
    write_text(csv_text(rows), files[1])
    write_json(
        dict(
            study,
            comparisons=comparisons,
            ranks=ranks,
            runs=[_brief(r) for r in runs]), files[0])
    print(f'\n{text}\n{", ".join(map(str, files))}')


def _group(runs: List[Dict[str, Any]],
           wanted: Callable[[Dict[str, Any]], bool]) -> Dict[str, List]:
    groups: Dict[str, List] = {}
    for run in filter(wanted, runs):
        groups.setdefault(NAMES[run['variant']], []).append(
            dict(run['results'], train_seconds=run['train_seconds']))
    return groups


def _brief(run: Dict[str, Any]) -> Dict[str, Any]:
    """A run without the hundreds of subnets that were only ranked."""
    if 'ranks' not in run:
        return run
    return dict(run, ranks=rank_summary(run['ranks']))


def _ranks(summaries: List[List[Dict[str, Any]]]) -> List[Dict[str, Any]]:
    """For each pool, means and standard deviations over the seeds in which it
    is not empty."""
    by_pool: Dict[str, List[Dict[str, Any]]] = {}
    for row in sum(summaries, []):
        by_pool.setdefault(row['pool'], []).append(row)
    found = []
    for pool, rows in by_pool.items():
        mean: Dict[str, Any] = dict(pool=pool)
        for key in list(rows[0])[1:]:
            values = [row[key] for row in rows if row[key] is not None]
            mean[key] = mean_and_std(values) if values else None
        found.append(mean)
    return found


def _text(study: Dict[str, Any], comparisons: Dict[str, Dict],
          ranks: List[Dict[str, Any]]) -> str:
    """The tables in Markdown."""
    parts = [
        f'`{study["command"]}`, a run for each seed. '
        f'{caption_of(next(iter(comparisons.values())))}'
    ]
    for title, comparison in comparisons.items():
        title = f'The pieces of {REFERENCE}, {study["iterations"]} iterations' \
            if title == 'pieces' else f'Equal training: {title}'
        parts += [f'**{title}**', comparison_table(comparison)]
    if ranks:
        headers = dict(
            subnets='subnets',
            correlation='correlation',
            halves='halves',
            accuracy_std='std of accuracy',
            behind_best='behind best',
            behind_fair='fair',
            tried_behind_fair='five tried, fair',
            ahead_of_draws='ahead of draws')
        parts += [
            RANK_NOTES,
            tabulate([[row['pool'], *(_figure(row[key]) for key in headers)]
                      for row in ranks],
                     headers=['pool', *headers.values()],
                     tablefmt='github',
                     disable_numparse=True)
        ]
    return '\n\n'.join(parts) + '\n'


def _figure(found: Any) -> str:
    if found is None:
        return '-'
    error = '' if found['std'] is None else f' ± {found["std"]:.2f}'
    return f'{found["mean"]:.2f}{error}'
