"""The tables and the figure of what benchmarks/compare.py ran."""

from typing import Any, Callable, Dict, List, Optional

import numpy as np

from pss.evaluation import (
    caption_of,
    compare_methods,
    comparison_rows,
    comparison_table,
    csv_text,
    plot_comparison,
    report_files,
)
from pss.evaluation.comparison import area, curve_of, mean_and_std
from pss.files import write_json, write_text

NAMES = dict(
    pss='PSS-Net',
    pss_additive='PSS-Net, additive score',
    random='Random',
    mutualnet='MutualNet',
    usnet='US-Net',
    need='Additive, by need',
    shrink='Additive, late shrinking',
    best_of='Additive, best of three',
    alpha='Additive, alpha-divergence',
    widths="Additive, US-Net's range",
    widths_random="Random, US-Net's range")
REFERENCE = NAMES['pss']
OTHERS = [NAMES[name] for name in ('pss', 'random', 'mutualnet', 'usnet')]
PASSES = 3  # of the reference

Entries = List[Dict[str, Any]]


def report_study(study: Dict[str, Any], out: str) -> None:
    """Writes JSON, CSV, Markdown and a figure, and prints the tables.

    Args:
        study: ``epochs``, ``runs`` and where they come from.
        out: the JSON file; the others get the same name.
    """
    runs, full = study['runs'], study['epochs']
    main = [run for run in runs if run['draws'] == run['seed']]
    panels = {}
    for what, key in (('', 'results'), (', chosen by score', 'published')):
        panels[f'{full} epochs{what}'] = _group(main, key,
                                                lambda r: r['epochs'] == full)
        panels[f'as many network passes{what}'] = _group(
            main, key, lambda r: r['epochs'] * r['passes'] == full * PASSES)
    comparisons = {
        title: compare_methods(group, REFERENCE)
        for title, group in panels.items() if REFERENCE in group
    }
    checks = checks_of(runs, full)
    leads = {
        title: lead
        for title, group in panels.items() if (lead := lead_of(group))
    }
    rows = [
        dict(setting=title, **row) for title, found in comparisons.items()
        for row in comparison_rows(found)
    ]
    text = _text(study, comparisons, leads, checks)
    files = report_files(out)
    plot_comparison(
        {
            title: group
            for title, group in panels.items() if group and 'score' not in title
        }, files[3])
    write_text(text, files[2])
    write_text(csv_text(rows), files[1])
    write_json(
        dict(study, comparisons=comparisons, leads=leads, checks=checks),
        files[0])
    print(f'\n{text}\n{", ".join(map(str, files))}')


def _group(runs: Entries, key: str,
           wanted: Callable[[Dict[str, Any]], bool]) -> Dict[str, Entries]:
    groups: Dict[str, Entries] = {}
    for run in filter(wanted, runs):
        groups.setdefault(NAMES[run['method']], []).append(
            dict(
                run[key], seed=run['seed'], train_seconds=run['train_seconds']))
    return groups


def lead_of(group: Dict[str, Entries]) -> Optional[Dict[str, Any]]:
    """How far ours is ahead: the one with the largest mean area, of those with
    the most runs.

    Returns:
        ``method`` and, for each of the others, ``mean`` and ``standard_error``
        of the difference of areas; ``None`` if there is nothing to compare.
    """
    ours = [name for name in group if name not in OTHERS]
    others = [name for name in group if name in OTHERS]
    if not ours or not others:
        return None
    most = max(len(group[name]) for name in ours)
    ours = [name for name in ours if len(group[name]) == most]
    found = compare_methods(group, ours[0])['methods']
    best = max((row for row in found if row['method'] in ours),
               key=lambda row: row['area']['mean'])['method']
    found = compare_methods(group, best)['methods']
    return dict(
        method=best,
        ahead={
            row['method']: row['area']['difference']
            for row in found if row['method'] in others
        })


def checks_of(runs: Entries, full: int) -> Dict[str, Any]:
    """What the setting can see, from runs of random sampling.

    Returns:
        ``draws``: areas of runs that differ only in the draws, mean and
        standard deviation. ``half``: how much half the training takes from the
        area, paired by seed. ``area_of_twice``, ``largest_of_twice``: how much
        twice the training adds to the area and to the largest subnet's top-1.
        ``None`` without the runs.
    """
    by_key = {
        (r['epochs'], r['seed'], r['draws']): r['results']
        for r in runs if r['method'] == 'random'
    }
    if not by_key:
        return {}
    curves = {key: curve_of(results) for key, results in by_key.items()}
    low = max(float(costs[0]) for costs, _ in curves.values())
    high = min(float(costs[-1]) for costs, _ in curves.values())
    areas = {key: area(curve, low, high) for key, curve in curves.items()}
    draws: Dict[int, List[float]] = {}
    for (epochs, seed, _), value in areas.items():
        if epochs == full:
            draws.setdefault(seed, []).append(value)
    repeated = max(draws.values(), key=len, default=[])
    lost = [
        areas[full, seed, seed] - value
        for (epochs, seed, _), value in areas.items()
        if epochs == full // 2 and (full, seed, seed) in areas
    ]
    twice = [(seed, value) for (epochs, seed, _), value in areas.items()
             if epochs == 2 * full and (full, seed, seed) in areas]
    return dict(
        draws=dict(mean_and_std(repeated), runs=len(repeated))
        if len(repeated) > 1 else None,
        half=_mean_and_error(lost),
        area_of_twice=_mean_and_error(
            [value - areas[full, s, s] for s, value in twice]),
        largest_of_twice=_mean_and_error([
            by_key[2 * full, s, s]['largest']['top1'] -
            by_key[full, s, s]['largest']['top1'] for s, _ in twice
        ]))


def _mean_and_error(values: List[float]) -> Optional[Dict[str, Any]]:
    if not values:
        return None
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) \
        if len(values) > 1 else None
    return dict(
        mean=float(np.mean(values)), standard_error=error, runs=len(values))


def _text(study: Dict[str, Any], comparisons: Dict[str, Dict],
          leads: Dict[str, Dict], checks: Dict[str, Any]) -> str:
    """The tables in Markdown."""
    done, planned = len(study['runs']), study['planned']
    part = '' if done == planned else f' {done} of {planned} runs are done.'
    parts = [f'`{study["command"]}`.{part}']
    if comparisons:
        parts.append(caption_of(next(iter(comparisons.values()))))
    for title, comparison in comparisons.items():
        parts += [f'**{title}**', comparison_table(comparison)]
    if leads:
        parts += [
            '**The best of ours minus the others** (area, ± standard error; it '
            'is the best on the same runs)',
            '\n'.join(f'- {title}: {_lead(lead)}'
                      for title, lead in leads.items())
        ]
    found = [
        words.format(**checks[key], error=_error_of(checks[key]))
        for key, words in _CHECKS.items() if checks.get(key)
    ]
    if found:
        parts += [
            '**What the setting can see** (random sampling)',
            '\n'.join(f'- {line}' for line in found)
        ]
    return '\n\n'.join(parts) + '\n'


def _lead(lead: Dict[str, Any]) -> str:
    ahead = ', '.join(f'{name} {gap["mean"]:+.2f} ± {_error_of(gap)}'
                      for name, gap in lead['ahead'].items())
    return f'{lead["method"]}: {ahead}'


def _error_of(figures: Dict[str, Any]) -> str:
    error = figures.get('standard_error')
    return 'unknown' if error is None else f'{error:.2f}'


_CHECKS = dict(
    draws='Draws alone (same weights and images): areas of {runs} runs have a '
    'standard deviation of {std:.2f}.',
    half='Half the training: {mean:+.2f} points of area lost, standard error '
    '{error}, {runs} seeds.',
    area_of_twice='Twice the training: {mean:+.2f} points of area, standard '
    'error {error}, {runs} seeds.',
    largest_of_twice='Twice the training: {mean:+.2f} for the largest subnet, '
    'standard error {error}, {runs} seeds.')
