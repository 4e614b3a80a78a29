"""Bad latency tables, their journals, and files in the published layouts."""

import io
import json
import pickle
import zipfile

import torch

from pss.apis import init_model, load_config
from pss.resources import LatencyTable
from tests.stress.corrupt import (
    WRONG,
    WRONG_TENSORS,
    Evil,
    cut,
    evil_objects,
    flipped,
    wrong_types,
)

from .cases import Case, check_finite, tool_case
from .fixtures import BlockCfg, lut
from .values import NUMBERS, TEXTS, bad_json, bad_value, changed, pick, shown


class Tables:
    """Bad latency tables and journals."""

    name, share = 'tables', 8

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures
        self.content = json.loads(fixtures.table.read_text())

    def case(self, rng, place):
        f, out = self.fixtures, place.out
        path = place.inputs / 'table.json'
        kind = pick(rng, ('read', 'cost', 'cost', 'sample', 'build', 'build',
                          'journal', 'journal'))
        if kind in ('build', 'journal'):
            path = out / 't.json'
        content = path if kind != 'journal' else out / 't.json.partial'
        data, what = self.journal(rng) if kind == 'journal' else \
            self.table(rng)
        content.write_bytes(data)
        if kind == 'read':
            return Case(f'LatencyTable.read: {what}', lambda: self.use(path))
        if kind == 'cost':
            return tool_case(what, 'subnet_cost', place, f.config, f.subnets,
                             '--latency-table', path, '--out', out / 's.json')
        if kind == 'sample':
            return tool_case(what, 'sample_subnets', place, f.config,
                             '--latency-table', path, '--level', 300, '--step',
                             100, '--num', 3, '--out', out / 's.json')
        return tool_case(f'{kind}: {what}', 'build_latency_table', place,
                         f.config, '--out', path, '--rounds', 1, '--max-blocks',
                         2, '--min-run-time', 0.0001, '--verify', 3)

    def use(self, path):
        """Reads a table, and prices subnets with it."""
        table = LatencyTable.read(path)
        model = init_model(load_config(self.fixtures.config))
        cost = table.cost_table(model, str(path))
        space = model.search_space
        check_finite(
            cost(space.encode([space.smallest, space.largest])).tolist(),
            'costs')

    def table(self, rng):
        """A table that is wrong in one or two places."""
        chance = rng.random()
        data = json.dumps(self.content).encode()
        if chance < 0.1:
            return bad_json(rng)
        if chance < 0.3:
            return pick(rng, (flipped, cut))(data, rng)
        content, what = changed(self.content, rng, 1 + int(rng.integers(2)))
        return json.dumps(content).encode(), what

    def journal(self, rng):
        """The journal of a run that was stopped, wrong in one place."""
        blocks = self.content['blocks']
        head = {k: v for k, v in self.content.items() if k != 'blocks'}
        lines = [head, *(pick(rng, blocks) for _ in range(3))]
        i = int(rng.integers(len(lines)))
        if rng.random() < 0.5 and lines[i]:
            lines[i], what = changed(lines[i], rng, 1)
        else:
            lines[i] = bad_value(rng)
            what = f'= {shown(lines[i])}'
        data = '\n'.join(map(json.dumps, lines)).encode() + b'\n'
        if rng.random() < 0.3:
            data, more = pick(rng, (flipped, cut))(data, rng)
            what = f'{what}, {more}'
        return data, f'line {i}: {what}'


class Published:
    """Bad tables and checkpoints in the published layouts: pickles."""

    name, share = 'published', 8

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures
        self.checkpoint = torch.load(fixtures.published, weights_only=True)

    def case(self, rng, place):
        if rng.random() < 0.7:
            path = place.inputs / 'table.pkl'
            data, what = self.table(rng, place)
            path.write_bytes(data)
            return tool_case(what, 'import_published_lut', place, path, '--out',
                             place.out / 't.json')
        path = place.inputs / 'published.pt'
        what = self.write_checkpoint(rng, path, place)
        return tool_case(what, 'import_published', place, path, '--arch',
                         'mobilenet_v2', '--out', place.out / 'x.pth')

    def table(self, rng, place):
        """The bad pickle of a table, and what is wrong with it."""
        import __main__
        __main__.BlockCfg = BlockCfg
        kind = pick(rng, ('code', 'code', 'opcodes', 'opcodes', 'bytes', 'cut',
                          'key', 'key', 'key', 'time', 'time', 'whole'))
        good = lut()
        if kind == 'code':
            evil = pick(rng, evil_objects(place.marker))
            value, where = pick(
                rng, [(evil, 'alone'), ({
                    **good, 'x': evil
                }, 'a time'),
                      ({
                          **good, BlockCfg(evil, *[1] * 7): 1.
                      }, 'in a key'), ([evil], 'in a list'),
                      ({
                          1: Evil(BlockCfg, evil)
                      }, 'a call')])
            return pickle.dumps(value, int(rng.integers(2, 6))), \
                f'code {evil.call[0].__name__} {where}'
        if kind == 'opcodes':
            return pick(
                rng,
                [(b'', 'empty'), (b'.', 'a stop'), (b'\x80\xff.', 'protocol'),
                 (b'\x80\x04' + b'(' * 10**6 + b'.', 'many marks'),
                 (b'\x80\x04]' + b'\x94]' * 10**5 + b'.', 'many lists'),
                 (b'cos\nsystem\n(S"touch ran"\ntR.', 'an old call'),
                 (b'c__main__\nBlockCfg\n.', 'the class'),
                 (b'c__main__\nBlockCfg\n)R.', 'a call of the class'),
                 (b'c__main__\nBlockCfg.__init__\n.', 'an attribute'),
                 (b'\x80\x04\x8c\x08__main__\x8c\x19BlockCfg._make.__globals__'
                  b'\x93.', 'an attribute of four'),
                 (b'c__main__\nBlockCfg\n}b.', 'a state'),
                 (b'\x80\x04}\x94h\x00h\x00s.', 'in itself'),
                 (b'\x8e' + (2**60).to_bytes(8, 'little') + b'.', 'long'),
                 (b'T\xff\xff\xff\x7f.', 'a long text'),
                 (b'L' + b'9' * 10**5 + b'L\n.', 'a long number'),
                 (b'\x8a\xff' + b'\xff' * 255 + b'.', 'a negative number'),
                 (b'I1_000\n.', 'a number'), (b'Fnan\n.', 'NaN'),
                 (b'P0\n.', 'a persistent id'), (b'Q.', 'another'),
                 (b'r\xff\xff\xff\xff.', 'memo'), (b'\x82\x01.', 'extension'),
                 (b'N\x94r\xff\xff\xff\x7f.', 'a far memo'), (b'}.', 'nothing'),
                 (b'\x97.', 'a buffer'), (b'K\x01\x85.', 'a tuple')])
        if kind in ('bytes', 'cut'):
            data = self.fixtures.lut.read_bytes()
            return flipped(data, rng) if kind == 'bytes' else cut(data, rng)
        if kind == 'whole':
            value = pick(rng, (*WRONG, *NUMBERS, *TEXTS, {1: 1}))
            return pickle.dumps(value), f'= {shown(value)}'
        key, time = pick(rng, list(good.items()))
        del good[key]
        if kind == 'time':
            time = pick(rng, (*WRONG, *NUMBERS, -1, 0, True, '1', [1]))
            what = f'time = {shown(time)}'
        else:
            field = pick(rng, BlockCfg._fields)
            new = pick(rng, (*NUMBERS, *TEXTS, None, (),
                             (1, ), True, 'MBV1Block', 'Linear', 'MBV2Block'))
            key = key._replace(**{field: new})
            what = f'{field} = {shown(new)}'
        good[key] = time
        return pickle.dumps(good), what

    def write_checkpoint(self, rng, path, place):
        """Writes a checkpoint that is wrong in one place."""
        kind = pick(rng, ('pools', 'pools', 'key', 'key', 'key', 'score',
                          'wrong', 'code', 'bytes', 'cut', 'pickle'))
        whole = dict(self.checkpoint)
        if kind in ('bytes', 'cut'):
            data = self.fixtures.published.read_bytes()
            data, what = (
                flipped(data, rng,
                        len(data) -
                        20_000) if kind == 'bytes' else cut(data, rng))
            path.write_bytes(data)
            return what
        if kind == 'pickle':
            with zipfile.ZipFile(self.fixtures.published) as archive:
                contents = {n: archive.read(n) for n in archive.namelist()}
            name = next(n for n in contents if n.endswith('data.pkl'))
            contents[name], what = flipped(contents[name], rng)
            with zipfile.ZipFile(path, 'w') as archive:
                for inner, data in contents.items():
                    archive.writestr(inner, data)
            return f'the pickle: {what}'
        pools = whole['arch_pools']['pools']['flops']
        if kind == 'code':
            evil = pick(rng, evil_objects(place.marker))
            whole, where = wrong_types(whole, rng, [evil], 0)
            what = f'code {evil.call[0].__name__}, {where}'
        elif kind == 'pools':
            new, what = pick(rng, [(dict(pools, **{'x': {}}), 'a level x'),
                                   ([], 'a list'),
                                   ({
                                       **pools, float('nan'): {}
                                   }, 'level nan'), (None, 'none'),
                                   ({
                                       **pools, True: {}
                                   }, 'level True'), ({
                                       290: []
                                   }, 'a list'),
                                   ({
                                       **pools, 10**400: {}
                                   }, 'a large level'),
                                   ({
                                       (1, 2): {}
                                   }, 'a level of two'),
                                   ({
                                       290: {
                                           1: 2
                                       }
                                   }, 'a key 1'),
                                   ({
                                       **pools, 'a': {},
                                       3: {}
                                   }, 'levels that have no order')])
            whole['arch_pools'] = dict(pools=dict(flops=new))
        elif kind in ('key', 'score'):
            good = next(iter(pools[290]))
            score = pick(rng, (*WRONG, *NUMBERS)) if kind == 'score' else -1.
            key = good if kind == 'score' else pick(rng, [
                '{', '', '(' * 10_000, '[' * 90 + ']' * 90, '1' * 10_000,
                '-' * 10**5 + '1', '{}', 'None', '1', '{"resolution": 224}',
                "{'resolution': 224, 'stage_cout_mults': 3}",
                "{'resolution': 224, 'stage_cout_mults': [1e999] * 9}",
                good.replace('224', '1e999'),
                good.replace('224', '"224"'),
                good.replace('224', '224.0'),
                good.replace('1.0', '1e-320'),
                good.replace('1.0', 'True'),
                good.replace('1.0', '1e999'),
                good.replace('1.0', '1j'),
                good.replace('224', '-1'),
                good.replace('224', '1' * 400),
                good.replace('1.0',
                             '0.99'), '\x00', '\x1b[31m', 'open("ran", "w")',
                '__import__("os").system("touch ran")', b'bytes', (1, 2), 3
            ])
            whole['arch_pools'] = dict(pools=dict(flops={290: {key: score}}))
            what = f'key {shown(key)}' if kind == 'key' else \
                f'score {shown(score)}'
        else:
            whole, what = wrong_types(whole, rng, WRONG + WRONG_TENSORS)
        data = io.BytesIO()
        torch.save(whole, data)
        path.write_bytes(data.getvalue())
        return what
