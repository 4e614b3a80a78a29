"""Results as an interactive page: top-1 against every cost, subnets on hover.

The page is one HTML file that holds the plotting library too, so it opens
offline; its policy (CSP) lets it load nothing.
"""

import textwrap
from html import escape
from itertools import cycle
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..files import FilePath, write_text
from ..resources import cost_field
from ..structures import level_name
from .results import (
    Results,
    check_costs,
    cost_format,
    kept_for,
    label_of,
    results_table,
    units_of,
)

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 90rem;
  margin: 0 auto; padding: 1rem 1.5rem; }}
h1 {{ font-size: 1.5rem; margin: 0; }}
main {{ display: grid; gap: 1.5rem;
  grid-template-columns: repeat({columns}, minmax(min(100%, 36rem), 1fr)); }}
figure {{ margin: 0; min-width: 0; }}
details {{ margin: 1rem 0; overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.875rem; }}
th, td {{ padding: 0.2rem 0.8rem; border-bottom: 1px solid #ddd;
  white-space: nowrap; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>Point at a marker to see its subnet; click in the legend to hide or show \
a group. Accuracies on test images and on held-out images differ: compare \
those of one kind. Candidates that were measured on more images are larger.</p>
<main>
{figures}
</main>
{tables}
</body>
</html>
"""

_ACCURACIES = dict(
    held_out_top1='held-out top-1',
    expected_top1='expected top-1',
    top1='test top-1')


def write_page(named: Dict[str, Results],
               path: FilePath,
               resource: Optional[str] = None) -> None:
    """Writes top-1 against costs, for one or several results, as HTML.

    Each resource has a panel. It shows what :func:`.plot_results` draws and,
    measured on held-out images, the same subnets and the candidates among which
    they were chosen, where results list them. Tables follow. Equal results give
    equal files.

    Args:
        named: results by their name in the legend.
        path: the HTML file.
        resource: names the only cost to show; by default all that any of the
            results has, with the results that have it.

    Raises:
        InputError: if a result has no such cost, units differ, or the file
            cannot be written.
    """
    from plotly.colors import qualitative  # matplotlib's colours

    costs = [resource] if resource is not None else list(
        dict.fromkeys(cost for results in named.values()
                      for cost in units_of(results)))
    colours = dict(zip(named, cycle(qualitative.D3)))
    figures = []
    for i, cost in enumerate(costs):
        drawn = {
            name: results
            for name, results in named.items()
            if resource is not None or cost in units_of(results)
        }
        check_costs(drawn, cost)
        figures.append(_figure(drawn, cost, colours, f'top1-{i}', i == 0))
    tables = [
        f'<details><summary>Table: {_text(name)}</summary>\n'
        f'{results_table(results, "html")}\n</details>'
        for name, results in named.items()
    ]
    page = _PAGE.format(
        title=f'Top-1 accuracy of subnets: {_text(", ".join(named))}',
        columns='auto-fill' if len(figures) > 1 else 1,
        figures='\n'.join(figures),
        tables='\n'.join(tables))
    # names in files may hold what UTF-8 cannot encode
    write_text(page.encode('utf-8', 'replace').decode('utf-8'), path)


def _text(text: str) -> str:
    """Text for HTML, and for plotly, which reads a little HTML in texts too but
    not quotes."""
    return escape(text.encode('utf-8', 'replace').decode('utf-8'), quote=False)


def _figure(drawn: Dict[str, Results], resource: str, colours: Dict[str, str],
            identity: str, library: bool) -> str:
    """The HTML of a panel.

    Args:
        drawn: results by their name.
        resource: the cost.
        colours: of all results of the page, by their name.
        identity: the panel's id in the page.
        library: whether to include the plotting library.
    """
    from plotly import graph_objects as go

    traces = []
    for name, results in drawn.items():
        prefix = f'{_text(name)}: ' if len(colours) > 1 else ''
        traces += _traces(results, resource, colours[name], prefix)
    # the later ones are in front
    traces.sort(key=lambda trace: -trace['legendrank'])
    label = _text(label_of(next(iter(drawn.values())), resource))
    figure = go.Figure(
        traces,
        dict(
            template='plotly_white',
            font=dict(family='system-ui, sans-serif', size=14, color='#222'),
            hovermode='closest',
            hoverlabel=dict(
                align='left', bgcolor='white', font=dict(color='#222')),
            legend=dict(
                orientation='h', y=1.02, yanchor='bottom',
                traceorder='grouped'),
            margin=dict(l=70, r=20, t=125, b=60),
            xaxis=dict(
                title=dict(text=label),
                exponentformat='none',
                separatethousands=True),
            yaxis=dict(title=dict(text='top-1 accuracy (%)'))))
    html = figure.to_html(
        config=dict(
            displaylogo=False,
            responsive=True,
            # by default there is one that uploads the figure
            modeBarButtons=[[
                'toImage', 'zoom2d', 'pan2d', 'zoomIn2d', 'zoomOut2d',
                'resetScale2d'
            ]]),
        include_plotlyjs=library,
        full_html=False,
        default_height=f'{500 + 50 * len(colours)}px',
        div_id=identity)
    label = label.replace('"', '&quot;')
    return f'<figure aria-label="Top-1 accuracy against {label}">{html}' \
        '</figure>'


def _traces(results: Results, resource: str, colour: str,
            prefix: str) -> List[Dict[str, Any]]:
    """What is drawn of one of the results."""
    units, field = units_of(results), cost_field(resource)
    kept = [(level_name(row['resource'], row['level']), row)
            for row in kept_for(results, resource)]
    smallest, largest = ((end, results[end]) for end in ('smallest', 'largest'))
    candidates = [('candidate', row) for row in results.get('evaluated', ())]
    most = max([row['images'] for _, row in candidates], default=1)

    def trace(label: str,
              every: Sequence[Tuple[str, Dict[str, Any]]],
              accuracy: str,
              mode: str = 'markers',
              **marker: Any) -> Dict[str, Any]:
        # results chosen by another metric have no held-out top-1
        pairs = [pair for pair in every if accuracy in pair[1]]
        images = 'test' if accuracy == 'top1' else 'held-out'
        return dict(
            type='scatter',
            name=label,
            mode=mode,
            x=[row[field] for _, row in pairs],
            y=[row[accuracy] for _, row in pairs],
            hovertext=[_hover(name, row, units, prefix) for name, row in pairs],
            hoverinfo='text',
            legendgroup=f'{prefix}{images}',
            legendrank=1 if images == 'test' else 2,
            legendgrouptitle=dict(text=f'{prefix}{images} images'),
            line=dict(color=colour),
            marker=dict(color=colour, **marker))

    traces = [
        trace(
            'candidates',
            candidates,
            'held_out_top1',
            size=[5 + 5 * row['images'] / most for _, row in candidates],
            opacity=0.3),
        trace(
            'kept subnets', [*kept, smallest, largest],
            'held_out_top1',
            size=9,
            symbol='circle-open',
            line=dict(width=2)),
        trace('best of each pool', kept, 'top1', 'lines+markers', size=9),
        trace('smallest', [smallest], 'top1', size=12, symbol='triangle-down'),
        trace('largest', [largest], 'top1', size=12, symbol='triangle-up')
    ]
    return [t for t in traces if t['x']]


def _hover(name: str, row: Dict[str, Any], units: Dict[str, str],
           prefix: str) -> str:
    """The lines that describe a subnet."""
    subnet = row['subnet']
    widths = ' '.join(map(str, subnet['widths']))
    lines = [
        f'<b>{prefix}{_text(name)}</b>',
        f'resolution {subnet["resolution"]}',
        *textwrap.wrap(f'widths {widths}', 60),
    ]
    for resource, unit in units.items():
        field = cost_field(resource)
        cost = f'{row[field]:{cost_format(field)}} {unit}'
        lines.append(
            _text(cost if resource == 'flops' else f'{resource} {cost}'))
    for field, label in _ACCURACIES.items():
        if field in row:
            line = f'{label} {row[field]:.2f}'
            if f'{field}_se' in row:
                line += f' ± {row[f"{field}_se"]:.2f}'
            line += ' %'
            if field == 'held_out_top1' and 'images' in row:
                line += f' ({row["images"]:,} images)'
            lines.append(line)
    return '<br>'.join(lines)
