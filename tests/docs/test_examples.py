"""Runs the Python blocks of the pages: ``make test-docs``."""

import ast
import itertools
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ..paths import ROOT
from .reading import PAGES, blocks, promised, statements

pytestmark = pytest.mark.docs

WITH_PYTHON = [page for page in PAGES if blocks(page, 'python')]


@pytest.fixture(scope='module')
def demo_bank(tmp_path_factory):
    """A bank with the subnets, costs and accuracies of the table in
    docs/deployment.md; its network is untrained and sees boots only."""
    from pss.apis import init_model, load_config
    from pss.deploy import Bank, KeptSubnet, write_bank
    from pss.deploy.bank_hook import versions, weights_of
    from pss.models import calibrate
    from pss.structures import Subnet
    torch.manual_seed(0)
    config = ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py'
    model = init_model(config)
    model.head.fc.bias.data[9] = 100.
    page = (ROOT / 'docs' / 'deployment.md').read_text()
    rows = [
        line.split() for line in page.splitlines()
        if line.startswith(('smallest  ', 'largest  ', 'flops 9.', 'flops 1'))
    ]
    kept = []
    for row in rows:
        name = ' '.join(row[:-12])
        resolution, *numbers = row[-12:]
        widths, (flops, held_out, test) = numbers[:8], numbers[8:]
        level = ('flops', float(name.split()[1])) if ' ' in name else (None,
                                                                       None)
        kept.append(
            KeptSubnet(name, Subnet(int(resolution), tuple(map(int, widths))),
                       dict(flops=float(flops)), float(held_out), float(test),
                       *level))
    assert len(kept) == 13
    subnets = list(dict.fromkeys(k.subnet for k in kept))
    folder = tmp_path_factory.mktemp('demo') / 'bank'
    bank = Bank(
        model=load_config(config).model.to_dict(),
        classes=('T-shirt', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal',
                 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='PackInputs')],
        input_shape=(3, 28, 28),
        resources=dict(flops='MFLOPs'),
        metric='top1',
        kept=tuple(kept),
        weights=weights_of(model),
        statistics=calibrate(model, subnets, [torch.randn(32, 3, 28, 28)]),
        samples=torch.randint(256, (2, 3, 28, 28), dtype=torch.uint8),
        versions=versions())
    write_bank(bank, folder)
    return folder


@pytest.fixture(scope='module')
def device_bank(demo_bank, tmp_path_factory):
    """The device bank of ``demo_bank``."""
    from pss.apis import DeviceExporter, read_bank
    folder = tmp_path_factory.mktemp('device') / 'device_bank'
    DeviceExporter(read_bank(demo_bank)).export(folder)
    return folder


@pytest.fixture
def folder(tmp_path, tiny_fashion_mnist, request, monkeypatch):
    """A folder like the checkout, with the demo's results if the page needs
    them."""
    from PIL import Image
    for name in ('configs', 'tools'):
        os.symlink(ROOT / name, tmp_path / name)
    (tmp_path / 'data').mkdir()
    os.symlink(tiny_fashion_mnist, tmp_path / 'data' / 'fashion_mnist')
    page = request.getfixturevalue('page').read_text()
    for path, name in (('work_dirs/demo/bank', 'demo_bank'),
                       ('work_dirs/demo/device_bank',
                        'device_bank'), ('device_bank', 'device_bank')):
        if f"('{path}')" in page:
            shutil.copytree(request.getfixturevalue(name), tmp_path / path)
    for name in ('a.png', 'b.png', 'image.png'):
        Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / name)
    # a request takes half a millisecond, however busy the machine is
    clock = SimpleNamespace(perf_counter=itertools.count(0, 5e-4).__next__)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(ROOT / 'runtime')
    for package in ('pss.runtime', 'pss_runtime'):
        monkeypatch.setattr(f'{package}.adaptive.time', clock)
    return tmp_path


@pytest.mark.parametrize(
    'page', WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks(page, folder):
    """Oracle: nothing raises but what a comment says, and values are those
    that comments promise. Configs are read and checked like users' own."""
    names = {'__name__': '__main__'}
    for block in blocks(page, 'python'):
        if block.reason:
            compile(block.code, str(page), 'exec')
            continue
        if block.name:
            (folder / block.name).write_text(block.code)
        if block.code.startswith('_base_'):
            check_own_config(folder / block.name)
        elif not block.name:
            run(page, block, names)


def run(page, block, names):
    """Runs a block, statement by statement, as at the lines of its page."""
    for statement, comment in statements(block.code):
        ast.increment_lineno(statement, block.line - 1)
        where = f'{page.name}:{statement.lineno}'
        if comment.startswith('InputError'):
            from pss.errors import InputError
            with pytest.raises(InputError):
                evaluate(page, statement, names)
            continue
        value = evaluate(page, statement, names)
        says, expected = promised(comment)
        if says and isinstance(statement, ast.Expr):
            assert value == expected, where


def evaluate(page, statement, names):
    """Runs one statement, and returns its value if it is an expression."""
    if isinstance(statement, ast.Expr):
        code = compile(ast.Expression(statement.value), str(page), 'eval')
        return eval(code, names)
    exec(compile(ast.Module([statement], []), str(page), 'exec'), names)


def check_own_config(path):
    """Reads a config, and checks it as the tools do before building."""
    from pss.apis import load_config
    from pss.registry import check_config
    config = load_config(path)
    check_config(config)
    if config.get('data_root') == 'data/fashion_mnist':
        from pss.apis import init_model
        init_model(path)
