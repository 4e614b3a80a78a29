"""Bad command lines of every tool."""

import json
import os
import shutil
import socket
from pathlib import Path
from typing import List, Tuple

from .cases import OTHER, TOOLS, tool_case
from .values import LONG, WORDS, pick

# The kinds of words in a command line: an option's name, a file to read, a file
# or folder to write, a value, a setting of --cfg-options.
OPTION, READ, WRITE, VALUE, SETTING = range(5)
SHARES = dict(
    train=4,
    test=4,
    build_latency_table=6,
    compare_results=10,
    plot_pools=6,
    plot_results=8,
    rank_pools=4,
    search=6,
    sample_subnets=14,
    show_space=6,
    subnet_cost=12,
    fashion_mnist=6,
    fashion_mnist_detection=8,
    build_bank=4,
    export_bank=6,
    export_subnet=10,
    extract_subnet=10,
    import_published=4,
    import_published_lut=8)
SETTINGS = (
    '', '=', 'a', 'a=', '=a', 'a=b=c', 'model', 'model=1', 'model=None',
    'model=[]', 'model.type', 'model.type=', 'model.type=Nothing',
    'model.type=os.getcwd', 'model.type=pss.Nothing', 'model.type=[1]',
    'model..type=1', '.=1', 'model.=1', '.model=1', 'model.backbone=3',
    'model.backbone.type.deep=3', 'model.head.in_channels=x',
    'model.head.in_channels=1e999', 'model.backbone.depth=nan',
    'model.backbone.search_space=1', 'model.backbone.search_space.x=1',
    'model.backbone.search_space.resolutions=[', 'default_hooks=1',
    'model.backbone.search_space.resolutions=()',
    'model.backbone.search_space.resolutions=(16,)',
    'model.backbone.search_space.resolutions=16,x',
    'model.backbone.search_space.resolutions=[0]',
    'model.backbone.search_space.resolutions.3=1',
    'default_hooks.pss_sampler=None', 'default_hooks.pss_sampler.budgets=1',
    'default_hooks.pss_sampler.budgets=[]',
    'default_hooks.pss_sampler.budgets.flops=nan',
    'default_hooks.pss_sampler.budgets.flops.pools=0',
    'default_hooks.pss_sampler.budgets.flops.pools=1e9',
    'default_hooks.pss_sampler.resources=x',
    'default_hooks.pss_sampler.resources.a=x',
    'default_hooks.pss_sampler.resources.a.type=x',
    'default_hooks.pss_sampler.resources.a.type=pss.Parameters',
    'default_hooks.pss_sampler.resources.a.type=pss.Latency',
    'default_hooks.pss_sampler.sampler.pool_size=1e9', 'data_preprocessor=1',
    'data_preprocessor.mean=[nan]', 'data_preprocessor.std=[0,0,0]',
    'train_dataloader=None', 'train_dataloader.batch_size=0', 'test_cfg=None',
    'test_cfg.candidates=-1', 'test_cfg.search=x', 'test_cfg.search=[]',
    'test_cfg.search.candidates=x', 'test_cfg.metric=nothing',
    'test_cfg.metric=[]', 'custom_imports=1', 'custom_imports.imports=nothing',
    'default_scope=nothing', 'default_scope=None', 'randomness.seed=x',
    'randomness=None', 'randomness.seed=-1', 'log_level=x', 'work_dir=None',
    'work_dir=1', 'load_from=1', 'load_from=nowhere.pth', 'resume=x',
    'env_cfg=None', 'env_cfg.mp_cfg=1', 'visualizer=1', 'visualizer.type=x',
    'launcher=x', '0=1', 'model.0=1', 'model.backbone.strides.0=x',
    'model.backbone.strides.9=1', 'model.backbone.strides=[(1,2]', '\x1b[31m=1',
    'model.type=\x1b[31m', 'ﬀ=1', '\udcff=1', f'{LONG}=1',
    f'model.{"a." * 500}a=1', 'model.type={{_base_.x}}', 'type=x',
    'model.init_cfg.type=Pretrained', 'model.init_cfg=x', '_base_=x.py',
    '_delete_=True', 'model._delete_=True', 'model.train_cfg=1', 'compile=True',
    'sync_bn=torch', 'optim_wrapper.optimizer.lr=nan',
    'optim_wrapper.optimizer.lr=-1', 'optim_wrapper.optimizer.lr=x',
    'auto_scale_lr=1', 'param_scheduler=1', 'param_scheduler.type=x')


class Options:
    """Good command lines, with one to three things changed."""

    name, share = 'options', 25

    def __init__(self, fixtures) -> None:
        self.fixtures = fixtures
        self.tools = [
            tool for tool, share in SHARES.items() for _ in range(share)
        ]
        assert set(SHARES) == set(TOOLS), 'a tool has no share'
        rows = json.loads(fixtures.subnets.read_text())
        self.one, self.level = rows[0], rows[0]['mflops']

    def case(self, rng, place):
        """A command line that is wrong."""
        tool = pick(rng, self.tools)
        words = self.good(tool, place, rng)
        said = []
        for _ in range(1 + int(rng.random() < 0.3)):
            words, what = self.changed(words, rng, place)
            said.append(what)
        words = [word for word, _ in words]
        return tool_case(', '.join(said), tool, place, *words)

    def good(self, tool: str, place, rng) -> List[Tuple[str, int]]:
        """A good command line: its words, each with its kind."""
        f, out = self.fixtures, place.out
        budget = pick(rng, ['flops=2', 'flops=1000', 'latency_cpu=1e6'])
        config, checkpoint = (f.config, READ), (f.checkpoint, READ)
        work = [('--work-dir', OPTION), (out / 'work', WRITE)]
        table = [('--latency-table', OPTION), (f.table, READ)]
        settings = [('--cfg-options', OPTION), ('randomness.seed=1', SETTING)]

        def to(name):
            return [('--out', OPTION), (out / name, WRITE)]

        def values(**more):
            return [
                word for key, value in more.items()
                for word in ((f'--{key.replace("_", "-")}', OPTION), (value,
                                                                      VALUE))
            ]

        words = dict(
            train=[config, *work, *settings],
            test=[
                config, checkpoint, *work, *to('r.json'), *values(interval=1),
                *settings
            ],
            build_latency_table=[
                config, *to('table.json'), *values(
                    device='cpu',
                    backend='torch',
                    batch_size=1,
                    threads=1,
                    dtype='float32',
                    max_blocks=2,
                    min_run_time=0.0001,
                    rounds=1,
                    verify=3,
                    seed=0), *settings
            ],
            compare_results=[
                (f.results, READ), (f.other_results, READ), *to('c.json'),
                *values(reference='a', levels=11, resource='flops'),
                ('--names', OPTION), ('a', VALUE), ('b', VALUE)
            ],
            plot_pools=[(f.log, READ), *to('p.png')],
            plot_results=[(f.results, READ), (f.other_results, READ),
                          *to('r.png'), *values(resource='flops'),
                          ('--names', OPTION), ('a', VALUE), ('b', VALUE)],
            rank_pools=[
                config, checkpoint, *to('ranks.json'), *work, *values(draws=1),
                *settings
            ],
            search=[
                config, checkpoint, ('--out', OPTION), (out / 'work', WRITE),
                ('--budgets', OPTION), (f'flops={self.level}', VALUE), *settings
            ],
            sample_subnets=[
                config, *to('s.json'), *table, *values(
                    resource='flops', level=self.level, step=0.5, num=4,
                    seed=0), *settings
            ],
            show_space=[config, *to('space.json'), *settings],
            subnet_cost=[
                config, (f.subnets, READ), *to('s.json'), *table, *settings
            ],
            fashion_mnist=[*to('f'), ('--source', OPTION), (f.images, READ)],
            fashion_mnist_detection=[('--source', OPTION), (f.images, READ),
                                     *to('d'), *values(size=48, most=2, seed=0),
                                     ('--num', OPTION), (2, VALUE), (1, VALUE),
                                     (1, VALUE)],
            build_bank=[config, checkpoint, *to('bank'), *work, *settings],
            export_bank=[(f.bank, READ), *to('device'), ('--int8', OPTION),
                         ('--calibration', OPTION), (f.photo.parent, READ),
                         *values(num_images=5), ('--images', OPTION),
                         (f.photo, READ)],
            export_subnet=[(f.bank, READ), ('--budget', OPTION),
                           (budget, VALUE),
                           *values(format='torch'), *to('exported'),
                           ('--images', OPTION), (f.photo, READ)],
            extract_subnet=[
                config, checkpoint, ('--subnet', OPTION),
                (self.subnet(place), READ), *to('x.pth'), *values(image_size=9)
            ],
            import_published=[(f.published, READ), *to('i.pth'),
                              *values(arch='mobilenet_v2')],
            import_published_lut=[(f.lut, READ), *to('l.json'),
                                  *values(device='cpu', batch_size=1)])[tool]
        if tool == 'sample_subnets' and rng.random() < 0.5:
            words = [w for w in words if w not in table]
        return [(str(word), kind) for word, kind in words]

    def subnet(self, place) -> Path:
        """A file with one subnet."""
        path = place.inputs / 'subnet.json'
        path.write_text(json.dumps(self.one))
        return path

    def changed(self, words, rng, place):
        """The words with one thing changed, and what it was."""
        i = int(rng.integers(len(words)))
        word, kind = words[i]
        chance = rng.random()
        if chance < 0.05:
            return words[:i] + words[i + 1:], f'without {word!r}'
        if chance < 0.1:
            new = pick(rng, [
                '--unknown', '--help', '--version', '--out', '--cfg-options',
                '--names', '--all', '--fvcore', '--amp', '--resume',
                '--calibrate', '-h', '--', '--launcher=slurm',
                '--launcher=pytorch', '--local_rank=-1', '--no-validate',
                '--auto-scale-lr', '--budget', '--images'
            ])
            return words[:i] + [(new, OPTION)] + words[i:], f'more: {new}'
        if chance < 0.14:
            return words[:i] + [words[i]] + words[i:], f'twice: {word!r}'
        if kind == OPTION:  # change its value instead
            i = min(i + 1, len(words) - 1)
            word, kind = words[i]
        new, what = self.bad_word(word, kind, rng, place)
        return words[:i] + [(new, kind)] + words[i + 1:], what

    def bad_word(self, word, kind, rng, place):
        """Another word of a kind, and what it is."""
        if kind in (SETTING, VALUE) and '=' in word and rng.random() < 0.5:
            word, _, _ = word.partition('=')
            new = f'{word}={pick(rng, WORDS)}'
        elif kind == SETTING:
            new = pick(rng, SETTINGS)
        elif kind == READ and rng.random() < 0.9:
            return bad_input(Path(word), rng, place, self.fixtures)
        elif kind == WRITE and rng.random() < 0.9:
            return bad_output(Path(word), rng, place, self.fixtures)
        else:
            new = pick(rng, WORDS)
        return new, f'{ascii(word)[:60]} is {ascii(new)[:60]}'


class Good(Options):
    """The good command lines, unchanged: if these fail, refusing the changed
    ones means nothing."""

    name, share, least = 'good', 1, len(SHARES)

    def case(self, rng, place):
        """A good command line; the tools take turns."""
        tool = sorted(SHARES)[place.index % len(SHARES)]
        words = [word for word, _ in self.good(tool, place, rng)]
        # the real data is large, and these are too few for a search
        if tool in ('fashion_mnist', 'search'):
            words = ['--help']
        case = tool_case('as it is', tool, place, *words)
        return case._replace(good=True)


def bad_input(path: Path, rng, place, fixtures):
    """A bad path to read from, and what is bad about it."""
    inside = place.inputs
    fake = inside / f'bad{len(os.listdir(inside))}{path.suffix}'
    kinds = ('absent', 'folder', 'empty', 'binary', 'text', 'zeros', 'json',
             'other', 'other', 'pipe', 'full', 'null', 'zero', 'dangling',
             'loop', 'link', 'strange', 'control', 'spaces', 'long', 'memory',
             'slash', 'file/child', 'home', 'empty word', 'dot', 'bytes',
             'unreadable', 'socket', 'url')
    kind = pick(rng, kinds)
    names = dict(
        absent=inside / f'absent{path.suffix}',
        full='/dev/full',
        null='/dev/null',
        long=inside / (300 * 'l' + path.suffix),
        memory='/proc/self/mem',
        slash=f'{path}/',
        home='~',
        unreadable='/proc/self/clear_refs',
        dot='.')
    names.update({
        'file/child': path / 'child',
        'empty word': '',
        'url': 'http://127.0.0.1:9/x' + path.suffix
    })
    if kind == 'folder':
        fake.mkdir()
    elif kind in ('empty', 'binary', 'text', 'zeros', 'json'):
        fake.write_bytes(
            dict(
                empty=b'',
                binary=rng.bytes(500),
                zeros=bytes(500),
                text='Grüße, not what was expected\n'.encode(),
                json=b'[{"a": [1, null, NaN]}]')[kind])
    elif kind == 'other':
        others = [
            p for p in vars(fixtures).values()
            if isinstance(p, Path) and p != path
        ]
        return str(pick(rng, others)), f'{path.name} is a file of another kind'
    elif kind == 'pipe':
        os.mkfifo(fake)
    elif kind == 'zero':  # it has no end
        return '/dev/zero', f'{path.name} is /dev/zero'
    elif kind == 'dangling':
        fake.symlink_to('nowhere')
    elif kind == 'loop':
        fake.symlink_to(fake.name)
    elif kind == 'link':
        fake.symlink_to(path)
    elif kind == 'socket':
        with socket.socket(socket.AF_UNIX) as server:
            folder = os.getcwd()
            os.chdir(inside)  # its name has to be short
            server.bind(fake.name)
            os.chdir(folder)
    elif kind in ('strange', 'control', 'spaces', 'bytes'):
        name = dict(
            strange='ä ﬀ\u202e{x}%s$HOME\'"',
            control='a\x1b[31m\nb',
            spaces='  a  b',
            bytes='\udcff\udcfe')[kind]
        fake = inside / f'{name}{path.suffix}'
        # not a path of the system, which an earlier change may have put here
        ours = any(
            path.is_relative_to(folder) for folder in (fixtures.folder, inside))
        if ours and path.is_dir():
            shutil.copytree(path, fake)
        elif ours and path.is_file():
            shutil.copy(path, fake)
    return str(names.get(kind, fake)), f'{path.name} is bad: {kind}'


def bad_output(path: Path, rng, place, fixtures):
    """A bad path to write to, and what is bad about it."""
    kind = pick(
        rng,
        ('folder', 'full', 'null', 'proc', 'sys', 'child', 'child',
         'empty word', 'slash', 'suffix', 'no suffix', 'long', 'pipe', 'link',
         'dangling', 'loop', 'input', 'input', 'user folder', 'user folder',
         'user folder', 'old', 'strange', 'control', 'bytes', 'deep', 'dot',
         'root', 'binary', 'fixture', 'hidden', 'memory', 'dots'))
    out = place.out
    path = path if path.name else Path('out.json')  # it was changed before
    fake = out / f'bad{len(os.listdir(out))}{path.suffix}'
    names = dict(
        full='/dev/full',
        null='/dev/null',
        proc=f'/proc/{path.name}',
        sys=f'/sys/{path.name}',
        child=place.user / 'notes.txt' / path.name,
        slash=f'{path}/',
        suffix=path.with_suffix('.xyz'),
        long=out / (300 * 'l' + path.suffix),
        dot='.',
        root='/',
        strange=out / f'ä ﬀ\u202e{{x}}%s$HOME\'"{path.suffix}',
        control=out / f'a\x1b[31m\nb{path.suffix}',
        hidden=out / '.json',
        bytes=out / f'\udcff{path.suffix}',
        deep=out / 'a' / 'b' / path.name,
        memory='/proc/self/mem',
        dots='..')
    names.update({
        'no suffix': path.with_suffix(''),
        'empty word': '',
        'user folder': place.user,
        'fixture': fixtures.folder,
        'binary': path.with_suffix('.pth')
    })
    if kind == 'folder':
        (fake / 'inner').mkdir(parents=True)
    elif kind == 'pipe':
        os.mkfifo(fake)
    elif kind in ('link', 'dangling'):
        target = place.temporary / f'target{path.suffix}'
        if kind == 'link':
            target.write_text('')
        fake.symlink_to(target)
    elif kind == 'loop':
        fake.symlink_to(fake.name)
    elif kind == 'input':  # one of the command line's own
        return str(pick(rng, [fixtures.config, fixtures.results,
                              fixtures.subnets, fixtures.log, fixtures.table,
                              fixtures.checkpoint, fixtures.lut,
                              fixtures.bank, fixtures.images])), \
            f'{path.name} is an input'
    elif kind == 'old':
        fake.write_bytes(OTHER)
    return str(names.get(kind, fake)), f'{path.name} is bad: {kind}'
