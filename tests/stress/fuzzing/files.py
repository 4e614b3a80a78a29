"""Bad results, lists of subnets, logs of pools and checkpoints, given to the
tools that read them."""

import json

from pss.engine.checkpoints import read_checkpoint
from tests.stress import corrupt

from .cases import tool_case
from .fixtures import pool_log
from .values import TEXTS, bad_json, changed, pick


def damaged_text(kind, rng, place, name='bad.json'):
    """Writes a JSON file that is wrong in one place; returns its path and how.

    Args:
        kind: a class of corrupt.py, with ``content`` and ``bytes``.
    """
    path = place.inputs / name
    chance = rng.random()
    if chance < 0.1:
        data, what = bad_json(rng)
    elif chance < 0.5:
        what, _ = corrupt.text_variant(kind, int(rng.integers(16)), rng, path)
        return path, what
    else:
        content = dict(all=kind.content) if isinstance(kind.content, list) \
            else kind.content
        content, what = changed(content, rng, 1 + int(rng.integers(2)))
        if isinstance(kind.content, list):
            content = content.get('all', [])
        data = json.dumps(content).encode()
    path.write_bytes(data)
    return path, what


class Results:
    """Bad results files, drawn and compared."""

    name, share = 'results', 9

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures
        self.content = json.loads(fixtures.results.read_text())
        self.bytes = fixtures.results.read_bytes()

    def case(self, rng, place):
        path, what = damaged_text(self, rng, place)
        other, out = self.fixtures.other_results, place.out
        resource = ['--resource', pick(rng, ['flops', 'latency_cpu'])]
        names = pick(
            rng,
            [[], [], ['--names', 'a', 'a'],
             [
                 '--names', 'a',
                 pick(rng, TEXTS).replace('\x00', 'x').replace('\ud800', 'y')
             ]])
        if rng.random() < 0.5:
            return tool_case(
                what, 'plot_results', place, path, other, *resource, *names,
                '--out',
                out / pick(rng, ['r.png', 'r.pdf', 'r.svg', 'r.jpg', 'r.html']))
        return tool_case(what, 'compare_results', place, path, other, *resource,
                         *names, '--out', out / 'c.json')


class Subnets:
    """Bad files of subnets, priced and extracted."""

    name, share = 'subnets', 4

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures
        self.content = json.loads(fixtures.subnets.read_text())[:2]
        self.bytes = fixtures.subnets.read_bytes()

    def case(self, rng, place):
        path, what = damaged_text(self, rng, place)
        f = self.fixtures
        if rng.random() < 0.7:
            return tool_case(what, 'subnet_cost', place, f.config, path,
                             '--out', place.out / 's.json')
        return tool_case(what, 'extract_subnet', place, f.config, f.checkpoint,
                         '--subnet', path, '--out', place.out / 'x.pth')


class PoolLogs:
    """Bad logs of pools, drawn."""

    name, share = 'pool_logs', 5

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures

    def case(self, rng, place):
        lines = pool_log()
        chance = rng.random()
        path = place.inputs / 'scalars.json'
        i = int(rng.integers(len(lines)))
        if chance < 0.15:
            data, what = bad_json(rng)
            data += pick(rng, (b'', b'\n', b'\n{}\n'))
        elif chance < 0.35:
            name = pick(rng, ('pool_fill/', 'pool_best/', 'agreement/',
                              'pool_fill/flops_', 'pool_fill/_1')) + \
                pick(rng, (*TEXTS, '1e999', '-1', 'nan', '1_0', '1e308'))
            lines[i][name] = 1
            what = f'line {i}: {ascii(name)[:60]}'
            data = '\n'.join(map(json.dumps, lines)).encode()
        elif chance < 0.8:
            lines[i], what = changed(lines[i], rng, 1 + int(rng.integers(2)))
            what = f'line {i}: {what}'
            data = '\n'.join(map(json.dumps, lines)).encode()
        else:
            data, what = pick(rng, (corrupt.flipped, corrupt.cut))(
                self.fixtures.log.read_bytes(), rng)
        path.write_bytes(data)
        log = pick(rng, (path, path, place.inputs))
        return tool_case(what, 'plot_pools', place, log, '--out',
                         place.out / 'p.png')


class Checkpoints(corrupt.Checkpoints):
    """Bad checkpoints, tested, resumed, loaded and extracted from."""

    name, share = 'checkpoints', 9

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures
        self.path = fixtures.checkpoint
        self.bytes = self.path.read_bytes()
        self.content = read_checkpoint(self.path)

    def case(self, rng, place):
        self.marker = place.marker
        path = place.inputs / 'bad.pth'
        what, bytes_changed = self.variant(int(rng.integers(16)), rng, path)
        f, out = self.fixtures, place.out
        work = ['--work-dir', out / 'work']

        def check():  # what loads must be what was saved
            if bytes_changed:
                assert corrupt.same(read_checkpoint(path), self.content), \
                    'it was used, with other contents'

        tool = pick(rng, ('test', 'test', 'resume', 'resume', 'load', 'find',
                          'extract', 'bank', 'rank'))
        if tool == 'test':
            return tool_case(
                what, 'test', place, f.config, path, *work, check=check)
        if tool == 'resume':
            return tool_case(f'resume: {what}', 'train', place, f.config, *work,
                             '--resume', path, '--cfg-options',
                             'train_cfg.max_epochs=2')
        if tool == 'load':
            return tool_case(
                f'load_from: {what}',
                'train',
                place,
                f.config,
                *work,
                '--cfg-options',
                f'load_from={path}',
                check=check)
        if tool == 'find':  # the newest, which is damaged
            (out / 'work').mkdir()
            path.rename(out / 'work' / 'epoch_1.pth')
            (out / 'work' / 'last_checkpoint').write_text(
                pick(rng, [
                    str(out / 'work' / 'epoch_1.pth'), '', '\x00', '/dev/full',
                    str(place.user), 'a' * 5000, 'epoch_1.pth\n\n'
                ]))
            return tool_case(f'found: {what}', 'train', place, f.config, *work,
                             '--resume', '--cfg-options',
                             'train_cfg.max_epochs=2')
        if tool == 'extract':
            subnet = place.inputs / 'subnet.json'
            subnet.write_text(json.dumps(json.loads(f.subnets.read_text())[0]))
            return tool_case(what, 'extract_subnet', place, f.config, path,
                             '--subnet', subnet, '--out', out / 'x.pth')
        if tool == 'bank':
            return tool_case(what, 'build_bank', place, f.config, path, *work,
                             '--out', out / 'bank')
        return tool_case(what, 'rank_pools', place, f.config, path, *work,
                         '--out', out / 'ranks.json')
