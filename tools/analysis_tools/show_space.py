"""Shows the widths of a supernet, and the layers that each of them drives.

``python tools/analysis_tools/show_space.py CONFIG``
"""

import argparse

from tabulate import tabulate

from pss.apis import init_model, load_config
from pss.cli import add_arguments, merge_arguments, run


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of the supernet')
    add_arguments(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    config = load_config(args.config)
    merge_arguments(config, args)
    model = init_model(config)
    space = model.search_space
    rows = []
    for i, (width, layers) in enumerate(
            zip(space.widths, model.backbone.driven_layers())):
        rows.append([
            i, *width.choices[::len(width.choices) - 1 or 1][:2],
            len(width.choices), layers[0]
        ])
        rows += [['', '', '', '', layer] for layer in layers[1:]]
    print(tabulate(rows, ['width', 'from', 'to', 'choices', 'layers']))
    resolutions = ', '.join(map(str, space.resolutions))
    print(f'\nresolutions: {resolutions}\nsubnets: {space.size:.3g}')


if __name__ == '__main__':
    run(main)
