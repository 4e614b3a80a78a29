"""Writes one subnet of a supernet as a plain network, and its config.

The network has no slimmable layers; if its widths allow it, it consists of
mmpretrain's own classes. From an adaptive detector it is one of mmdet's. The
config, DST.py beside DST.pth, builds it.
"""

import argparse
from functools import partial
from typing import Callable


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the supernet')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument(
        '--subnet',
        required=True,
        help='JSON file with the subnet: {"resolution": int, "widths": [int]}')
    parser.add_argument('--out', required=True, help='the DST.pth to write')
    parser.add_argument(
        '--image-size',
        type=int,
        metavar='SIDE',
        help='sides of the images that data pipelines deliver, if they do not '
        'have the largest resolution: the network resizes them')
    parser.add_argument(
        '--calibrate',
        action='store_true',
        help='compute its batch-norm statistics on training images; the '
        "running statistics are those of the largest subnet")
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

import torch

from pss.apis import init_model, load_config
from pss.checks import check_integer
from pss.cli import run
from pss.config import calibration_images
from pss.deploy import extract, extracted_config
from pss.deploy.config_writing import write_config
from pss.deploy.export_files import checkpoint_bytes
from pss.deploy.extraction import model_config
from pss.deploy.network_difference import largest_difference, raw_outputs
from pss.errors import InputError
from pss.models import SupernetDetector, calibrate
from pss.outputs import check_out
from pss.structures import read_subnets


def main(args):
    if args.image_size is not None:
        check_integer('--image-size', args.image_size, 1, 1 << 14)
    inputs = [args.config, args.checkpoint, args.subnet]
    out = check_out(args.out, inputs, '.pth')
    check_out(out.with_suffix('.py'), inputs)
    if out.with_suffix('.py').exists() and not out.exists():
        raise InputError(f'{out.with_suffix(".py")}: exists, but {out} '
                         'does not; expected another --out')

    config = load_config(args.config)
    model = init_model(config, args.checkpoint)
    subnets = read_subnets(args.subnet, model.search_space)
    if len(subnets) != 1:
        raise InputError(f'{args.subnet}: {len(subnets)} subnets; expected one')
    subnet = subnets[0]
    statistics = None
    if args.calibrate:
        statistics = calibrate(model, [subnet],
                               calibration_images(config, model))[subnet]
    elif subnet != model.search_space.largest:
        print("The running statistics are the largest subnet's; --calibrate "
              'computes those of this one.')
    size = model.image_size(args.image_size
                            or model.search_space.largest.resolution)
    plain_config = extracted_config(
        model_config(config), model, subnet,
        [args.image_size] if args.image_size else None)
    plain = extract(model, plain_config, subnet, statistics)
    model.switch_to(subnet, statistics)
    one: Callable[[torch.Tensor], torch.Tensor] = plain
    other: Callable[[torch.Tensor], torch.Tensor] = model
    what = 'logits'
    if isinstance(model, SupernetDetector):
        one, other = partial(raw_outputs, plain), partial(raw_outputs, model)
        what = 'outputs of the head'
    difference = largest_difference(one, other,
                                    torch.randn(4, model.input_channels, *size))
    print(f'largest difference of {what} on random images: {difference:.3g}')
    write_config(
        plain_config,
        out.with_suffix('.py'),
        others={
            out:
            checkpoint_bytes(
                dict(
                    meta=dict(subnet=subnet.as_dict()),
                    state_dict=plain.state_dict()))
        })
    print(f'{out} and {out.with_suffix(".py").name}: '
          f'{plain_config.type} on {plain_config.backbone.type}')


if __name__ == '__main__':
    run(main, args)
