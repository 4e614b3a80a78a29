"""Shows the widths of a supernet, and the layers that each of them drives.

``python tools/analysis_tools/show_space.py CONFIG``
"""

import argparse

from pss_command.arguments import add_arguments


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of the supernet')
    parser.add_argument(
        '--out', metavar='JSON', help='file to write, besides the table')
    add_arguments(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from tabulate import tabulate

from pss.apis import init_model, load_config
from pss.cli import merge_arguments, run
from pss.files import write_json
from pss.outputs import check_out


def main(args):
    if args.out:
        check_out(args.out, [args.config])
    config = load_config(args.config)
    merge_arguments(config, args)
    model = init_model(config)
    space = model.search_space
    widths = [
        dict(choices=list(width.choices), layers=layers)
        for width, layers in zip(space.widths, model.backbone.driven_layers())
    ]
    rows = []
    for i, width in enumerate(widths):
        choices = width['choices']
        first, *others = width['layers']
        rows.append([i, choices[0], choices[-1], len(choices), first])
        rows += [['', '', '', '', layer] for layer in others]
    print(tabulate(rows, ['width', 'from', 'to', 'choices', 'layers']))
    resolutions = ', '.join(map(str, space.resolutions))
    print(f'\nresolutions: {resolutions}\nsubnets: {space.size:.3g}')
    if args.out:
        write_json(
            dict(
                widths=widths,
                resolutions=list(space.resolutions),
                subnets=space.size), args.out)


if __name__ == '__main__':
    run(main, args)
