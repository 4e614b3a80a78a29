"""Converts a checkpoint in the published PSS-Net layout into ours.

It converts weights, pools and scores. Nothing in the file is executed: it is
loaded as data, and the pools' keys, which are Python literals in strings, are
parsed.
"""

import argparse
import ast
import math
import re
from typing import Any, Dict, List

# first, last and step of the levels of the published FLOPs pools
LEVELS = {'mobilenet_v1': (120, 560, 10), 'mobilenet_v2': (80, 290, 10)}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help='checkpoint in the published layout')
    parser.add_argument('--arch', required=True, choices=sorted(LEVELS))
    parser.add_argument('--out', required=True, help='checkpoint to write')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports below, which take seconds

from pss.checks import is_number, shown
from pss.cli import run
from pss.engine.checkpoints import read_checkpoint_data, save_checkpoint
from pss.engine.checkpoints.cleaning import check_dense
from pss.engine.checkpoints.entries import POOLS_KEY
from pss.errors import InputError
from pss.models import SlimmableMobileNetV1, SlimmableMobileNetV2
from pss.outputs import check_out
from pss.structures import Subnet, budgets_of, make_divisible

BACKBONES = {
    'mobilenet_v1': SlimmableMobileNetV1,
    'mobilenet_v2': SlimmableMobileNetV2
}
LONGEST_KEY = 2_000  # characters of a pool's key; usually about 300
# channels to which the multipliers in a pool's key refer
BASES = {
    'mobilenet_v1': [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024],
    'mobilenet_v2': [32, 16, 24, 32, 64, 96, 160, 320],
}


def block_names(backbone) -> List[str]:
    """Names of the blocks of one of our backbones, in order."""
    return [
        f'{layer}.{i}' for layer in backbone.layers if layer != 'conv2'
        for i in range(len(getattr(backbone, layer)))
    ]


def our_name(name: str, arch: str, blocks: List[str]) -> str:
    """Our name of a parameter; empty if there is none."""
    name = re.sub(r'\.bn\.', '.', name)  # buffers lie one level deeper
    found = re.fullmatch(r'classifier\.0\.(\w+)', name)
    if found:
        return f'head.fc.{found[1]}'
    found = re.fullmatch(r'features\.(\d+)\.(?:body\.)?(\d+)\.(\w+)', name)
    if not found or int(found[2]) % 3 == 2:
        return ''
    block, layer, field = int(found[1]), int(found[2]), found[3]
    part = 'conv' if layer % 3 == 0 else 'bn'
    if block == 0:
        return f'backbone.conv1.{part}.{field}'
    if block == len(blocks) + 1:
        return f'backbone.conv2.{part}.{field}'
    if block > len(blocks):
        return ''
    inner = f'conv.{layer // 3}' if arch == 'mobilenet_v2' else \
        ('depthwise_conv', 'pointwise_conv', '')[min(layer // 3, 2)]
    return f'backbone.{blocks[block - 1]}.{inner}.{part}.{field}'


def convert_weights(weights: Any, arch: str, backbone,
                    where: str) -> Dict[str, Any]:
    """Converts weights into the state dict of our classifier.

    Raises:
        InputError: names the keys that are missing, unknown or of another
            shape.
    """
    if not isinstance(weights, dict) or not weights:
        raise InputError(f'{where}: field "model" is not a state dict')
    wanted = {
        f'backbone.{k}': tuple(v.shape)
        for k, v in backbone.state_dict().items()
    }
    blocks = block_names(backbone)
    state, unknown, shapes = {}, [], []
    for key, value in weights.items():
        name = our_name(re.sub(r'^module\.', '', str(key)), arch, blocks)
        if not name or (name not in wanted and not name.startswith('head.fc.')):
            unknown.append(str(key))
        elif tuple(check_dense(value, f'{where}: {shown(key)}').shape) != \
                wanted.get(name, tuple(value.shape)):
            shapes.append(str(key))
        else:
            state[name] = value
    missing = [
        k for k in (*wanted, 'head.fc.weight', 'head.fc.bias') if k not in state
    ]
    for what, keys in (('unknown keys', unknown), ('keys of another shape',
                                                   shapes),
                       ('missing keys (by our names)', missing)):
        if keys:
            raise InputError(f'{where}: not a {arch} in the published layout; '
                             f'{len(keys)} {what}: '
                             f'{", ".join(shown(k)[1:-1] for k in keys[:3])}')
    for name, value in state.items():
        if not bool(value.isfinite().all()):
            raise InputError(f'{where}: {name} is not finite; expected finite '
                             'numbers')
    return state


def parse_subnet(key: Any, arch: str, where: str) -> Subnet:
    """The subnet that a pool's key describes.

    Raises:
        InputError: names the key.
    """
    try:
        if not isinstance(key, str) or len(key) > LONGEST_KEY:
            raise ValueError(f'expected a text of at most {LONGEST_KEY} '
                             'characters')
        fields = ast.literal_eval(key)
        resolution, mults = fields['resolution'], fields['stage_cout_mults']
        bases = BASES[arch]
        if arch == 'mobilenet_v2' and len(mults) == 9 and mults[8] == 1:
            mults = mults[:8]  # the last convolution, always 1,280
        if len(mults) != len(bases):
            raise ValueError(f'{len(mults)} multipliers; expected {len(bases)}')
        if not all(isinstance(m, (int, float)) and 0 < m <= 1 for m in mults):
            raise ValueError('expected multipliers above 0 and at most 1')
        return Subnet.from_dict(
            dict(
                resolution=resolution,
                widths=[make_divisible(b * m) for b, m in zip(bases, mults)]))
    except (ValueError, SyntaxError, KeyError, TypeError, AttributeError,
            RecursionError, MemoryError) as error:
        raise InputError(f'{where}: key {shown(key, 120)} is not a subnet '
                         f'({error})') from None


def convert_pools(published: Any, arch: str, space,
                  where: str) -> List[Dict[str, Any]]:
    """Converts pools into the form of our checkpoints.

    Raises:
        InputError: for a key that is not a subnet of the space, or a score
            that is not a finite number; names the pool.
    """
    try:
        pools = dict(published['pools'].get('flops', {}))
    except (TypeError, KeyError, AttributeError, ValueError):
        raise InputError(f'{where}: field "arch_pools" has no pools') from None
    found: Dict[float, List[Dict[str, Any]]] = {}
    for level, entries in pools.items():
        place = f'{where}, pool flops {shown(level)}'
        if not isinstance(entries, dict) or not is_number(level):
            raise InputError(f'{place}: not a pool')
        for key, score in entries.items():
            subnet = parse_subnet(key, arch, place)
            try:
                space.validate(subnet)
                score = float(score)
            except InputError as error:
                raise InputError(f'{place}: {error}') from None
            except (TypeError, ValueError, RuntimeError, OverflowError):
                score = math.nan
            if not math.isfinite(score):
                raise InputError(f'{place}: the score of {subnet} is not a '
                                 'finite number')
            found.setdefault(level,
                             []).append(dict(**subnet.as_dict(), score=score))
    budgets = budgets_of('flops', *LEVELS[arch])
    extra = sorted(set(found) - {b.level for b in budgets})
    if extra:
        print(f'Left out: {sum(len(found[x]) for x in extra)} subnets of the '
              f'levels {", ".join(f"{x:g}" for x in extra)}, which have no '
              'pool')
    return [
        dict(
            resource=b.resource,
            level=b.level,
            step=b.step,
            subnets=found.get(b.level, [])) for b in budgets
    ]


def main(args):
    check_out(args.out, [args.source])
    source = read_checkpoint_data(args.source)
    backbone = BACKBONES[args.arch]()
    where = f'checkpoint {args.source}'
    if not isinstance(source, dict) or 'model' not in source:
        raise InputError(f'{where}: has no field "model"; it is not in the '
                         'published layout')
    state = convert_weights(source['model'], args.arch, backbone, where)
    pools = convert_pools(
        source.get('arch_pools'), args.arch, backbone.search_space, where)
    save_checkpoint(
        dict(meta=dict(), state_dict=state, **{POOLS_KEY: pools}), args.out)
    print(f'{args.out}: {len(state)} tensors, '
          f'{sum(len(p["subnets"]) for p in pools)} subnets in '
          f'{sum(bool(p["subnets"]) for p in pools)} of {len(pools)} pools')


if __name__ == '__main__':
    run(main, args)
