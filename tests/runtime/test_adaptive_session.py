"""The runtime against PyTorch's classifier."""

import ast
import importlib.metadata
import json
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pss.apis import AdaptiveClassifier
from pss.errors import InputError
from pss.runtime import AdaptiveSession

RUNTIME = Path(__file__).parents[2] / 'runtime'


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Image files of many kinds, of several sizes."""
    folder = tmp_path_factory.mktemp('files')
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (9, 7, 3), np.uint8)).resize(
        (47, 61))
    found = []
    for name, image in (('a.jpg', colour), ('b.png', colour),
                        ('c.bmp', colour.resize(
                            (30, 90))), ('grey.jpg', colour.convert('L')),
                        ('palette.png', colour.quantize(32)),
                        ('alpha.png', colour.convert('RGBA')), ('webp.webp',
                                                                colour)):
        image.save(folder / name)
        found.append(str(folder / name))
    deep = np.asarray(colour.convert('L')).astype(np.uint16) * 250
    Image.fromarray(deep).save(folder / 'deep.png')
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    colour.save(folder / 'turned.jpg', exif=exif)
    return [*found, str(folder / 'deep.png'), str(folder / 'turned.jpg')]


def assert_same(found, wanted):
    """Labels are equal, and scores to 1e-4."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted):
        assert one.keys() == other.keys()
        assert one['pred_label'] == other['pred_label']
        assert one['pred_class'] == other['pred_class']
        np.testing.assert_allclose(
            one['pred_scores'], other['pred_scores'], rtol=0, atol=1e-4)


def test_predictions_equal_pytorchs(both_banks, files):
    """Oracle: AdaptiveClassifier on the same files, arrays and batches, for
    every subnet."""
    bank, device = both_banks
    ours, theirs = AdaptiveSession(device), AdaptiveClassifier(bank)
    assert [k.name for k in ours.subnets] == [k.name for k in theirs.subnets]
    assert repr(ours.subnets) == repr(theirs.subnets)
    batch = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), np.uint8)
    grey = batch[0, ..., 0]
    for kept in theirs.subnets:
        assert ours.switch(kept.name).name == theirs.switch(kept.name).name
        for images in (files, files[0], batch, batch[0], grey, [grey,
                                                                files[1]], [],
                       batch.astype(float)):
            assert_same(ours.predict(images), theirs.predict(images))
    assert_same(
        ours.predict(files, batch_size=2), theirs.predict(files, batch_size=2))


def test_the_halves_of_a_prediction(both_banks, files):
    """Oracle: predict() with the same subnet, given the files' contents; all
    loaded images have one shape and type. The active subnet stays."""
    contents = [Path(file).read_bytes() for file in files]
    for net in (AdaptiveClassifier(both_banks[0]),
                AdaptiveSession(both_banks[1])):
        active = net.active
        loaded = net.load(contents)
        assert {(image.shape, image.dtype)
                for image in loaded} == {(loaded[0].shape, np.dtype('uint8'))}
        kept = next(kept for kept in net.subnets if kept != active)
        found = net.run(kept, np.stack(loaded))
        assert net.active == active and net.run(kept, []) == []
        net.switch(kept)
        assert_same(found, net.predict(files))
        assert_same(found, net.predict(contents))
        for bad in (b'', b'no image', contents[0][:-99]):
            with pytest.raises(InputError, match=r'images\[1\]'):
                net.load([contents[0], bad])


def test_selection_equals_pytorchs(both_banks):
    """Oracle: AdaptiveClassifier's choices and messages."""
    nets = [
        cls(folder) for cls, folder in zip((AdaptiveClassifier,
                                            AdaptiveSession), both_banks)
    ]
    costs = sorted(k.costs['flops'] for k in nets[0].subnets)
    for limits in (dict(flops=cost + shift) for cost in costs
                   for shift in (-0.01, 0, 0.01)):
        found = []
        for net in nets:
            try:
                found.append(net.switch(**limits).name)
            except InputError as error:
                found.append(str(error))
        assert found[0] == found[1]
    for call in (lambda n: n.switch('x'), lambda n: n.select(flop=3),
                 lambda n: n.follow(0), lambda n: n.follow(1e-9),
                 lambda n: n.predict('missing.png'),
                 lambda n: n.predict(np.zeros((3, 3, 7), np.uint8))):
        for net in nets:
            before = net.active.name
            with pytest.raises(InputError):
                call(net)
            assert net.active.name == before


def test_sessions_are_opened_lazily_and_few_are_kept(both_banks):
    """Oracle: the definition of a least recently used cache."""
    net = AdaptiveSession(both_banks[1], keep=2)
    assert len(net._sessions) == 1
    order = [net.active.file]
    for kept in (*net.subnets, net.subnets[1], net.subnets[0]):
        net.switch(kept)
        order = [*(f for f in order if f != kept.file), kept.file][-2:]
        assert list(net._sessions) == order


def test_a_request_ends_with_its_subnet(both_banks):
    """Oracle: predictions of each subnet alone; every concurrent one equals
    one of them while two threads switch, though sessions are closed."""
    net = AdaptiveSession(both_banks[1], keep=1, threads=1)
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), np.uint8)
    alone = []
    for kept in net.subnets:
        net.switch(kept)
        alone.append(np.array([r['pred_scores'] for r in net.predict(images)]))
    ends = time.monotonic() + 2
    failures = []

    def switch(seed):
        rng = np.random.default_rng(seed)
        while time.monotonic() < ends:
            net.switch(net.subnets[rng.integers(len(net.subnets))])

    def predict():
        while time.monotonic() < ends:
            found = np.array([r['pred_scores'] for r in net.predict(images)])
            if not any(np.array_equal(found, one) for one in alone):
                failures.append(found)

    threads = [
        threading.Thread(target=target, args=args)
        for target, args in ((switch, (0, )), (switch, (1, )), (predict, ()),
                             (predict, ()))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(net._sessions) == 1


def test_measured_latencies_can_be_limited(both_banks):
    """Oracle: brute force over what was measured."""
    net = AdaptiveSession(both_banks[1])
    with pytest.raises(InputError, match='latency_ms=1: unknown resource'):
        net.select(latency_ms=1)
    found = net.measure(rounds=3)
    assert set(found) == {kept.name for kept in net.subnets}
    assert net.resources['latency_ms'] == 'ms'
    for limit in found.values():
        wanted = max((k for k in net.subnets if found[k.name] <= limit),
                     key=lambda k: (k.held_out_accuracy, -found[k.name]))
        assert net.select(latency_ms=limit) == wanted
    follower = net.follow(latency_ms=1e4)
    assert net.active == net.select() and follower.moves == 0
    net.predict(np.zeros((24, 24, 3), np.uint8))
    assert net.follow(None) is None


def test_without_pytorch(both_banks, files, tmp_path):
    """Oracle: AdaptiveClassifier's predictions. They come from an environment
    that has only what the runtime's pyproject.toml names and what that needs,
    so neither torch nor an mm package can be imported."""
    bank, device = both_banks
    venv.create(tmp_path / 'env', with_pip=False)
    site = Path(
        subprocess.check_output([
            tmp_path / 'env/bin/python', '-c',
            'import sysconfig; print(sysconfig.get_path("purelib"))'
        ],
                                text=True).strip())
    for name in distributions(['numpy', 'onnxruntime', 'Pillow']):
        for path in importlib.metadata.files(name) or ():
            top = Path(path.parts[0])
            if top.suffix not in ('.dist-info', '') or path.parts[0] == '..':
                continue
            if not (site / top).exists() and path.parts[0] != '__pycache__':
                (site / top).symlink_to(
                    Path(path.locate()).parents[len(path.parts) -
                                                2] if len(path.parts) >
                    1 else path.locate())
    (site / 'pss_runtime').symlink_to(RUNTIME / 'pss_runtime')
    code = '''
import importlib.util, json, sys
from pss_runtime import AdaptiveSession
for name in ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmpretrain', 'pss'):
    assert importlib.util.find_spec(name) is None, name
net = AdaptiveSession(sys.argv[1])
found = net.predict(sys.argv[2:])
print(json.dumps([[r['pred_label'], r['pred_scores'].tolist()] for r in found]))
'''
    done = subprocess.run(
        [tmp_path / 'env/bin/python', '-I', '-c', code, device, *files],
        stdout=subprocess.PIPE,
        text=True,
        check=True)
    wanted = AdaptiveClassifier(bank).predict(files)
    for (label, scores), row in zip(json.loads(done.stdout), wanted):
        assert label == row['pred_label']
        np.testing.assert_allclose(
            scores, row['pred_scores'], rtol=0, atol=1e-4)


def distributions(names):
    """Installed distributions, and those that they need."""
    found = []
    while names:
        name = names.pop()
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # only elsewhere
        if name.lower() not in found:
            found.append(name.lower())
            names += [
                text.split(';')[0].split('[')[0].strip().split('>')[0].split(
                    '<')[0].split('=')[0].split('!')[0].split('~')[0].strip()
                for text in needed if 'extra ==' not in text
            ]
    return found


def test_the_runtime_is_small():
    """Oracle: the lines that Python prints of its own syntax trees, one for
    each statement, without docstrings."""
    lines = 0
    for path in (RUNTIME / 'pss_runtime').glob('*.py'):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) \
                    and ast.get_docstring(node) is not None:
                node.body[0] = ast.Pass()
        lines += sum(line.strip() not in ('', 'pass')
                     for line in ast.unparse(tree).splitlines())
    assert lines < 600, lines


def test_dependencies_are_declared():
    """Oracle: the modules that the runtime's files import."""
    found = set()
    for path in (RUNTIME / 'pss_runtime').glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or '').split('.')[0])
    assert found - set(sys.stdlib_module_names) == {
        'numpy', 'PIL', 'onnxruntime'
    }
