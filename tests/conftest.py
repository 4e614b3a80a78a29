"""Fixtures that tests share: small networks, reference numbers, tiny data."""

import importlib.util
import json
import warnings

import pytest
import torch

import pss  # noqa: F401 before tests import mmpretrain

from .building import classifier_config, random_bank, randomise_statistics
from .images import write_folder, write_imagenet, write_images
from .paths import FIXTURES, ROOT
from .training import begin_runs_sooner, shrink, simplify

# tests run in several processes, each on one core
torch.set_num_threads(1)
warnings.filterwarnings('ignore', message='Fail to import ``MultiScale')


def pytest_collection_modifyitems(config, items):
    """Takes out the tests that need what is not here."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker('gpu'):
                item.add_marker(pytest.mark.skip(reason='needs a GPU'))
    deselect_detection(config, items)


def deselect_detection(config, items):
    """Deselects the tests that need MMDetection if it is not installed."""
    if importlib.util.find_spec('mmdet') is not None:
        return
    left = [
        item for item in items
        if ROOT / 'tests' / 'detection' in item.path.parents
    ]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)
    config.needs_mmdet = len(left)
    if hasattr(config, 'workeroutput'):  # in a worker of xdist
        config.workeroutput['needs_mmdet'] = len(left)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Takes the number of deselected tests from an xdist worker; it is the same
    in all of them."""
    node.config.needs_mmdet = getattr(node, 'workeroutput',
                                      {}).get('needs_mmdet', 0)


def pytest_terminal_summary(terminalreporter, config):
    """Prints how many tests were deselected."""
    num = getattr(config, 'needs_mmdet', 0)
    if num:
        terminalreporter.write_line(
            f'{num} tests in tests/detection need MMDetection: '
            '`make test-detection` runs them')


@pytest.fixture(scope='session', autouse=True)
def quick_runs():
    """Makes all runs of this process begin sooner."""
    begin_runs_sooner()


@pytest.fixture(scope='session')
def root():
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope='session')
def reference_costs():
    """Subnets, with their costs according to the published program."""
    path = FIXTURES / 'subnet_costs.json'
    if not path.is_file():
        pytest.skip(f'{path} is not there; PSS_FIXTURES names its folder')
    return json.loads(path.read_text())


@pytest.fixture(params=['cpu', pytest.param('cuda', marks=pytest.mark.gpu)])
def device(request):
    """A CPU, and a GPU if there is one."""
    return request.param


@pytest.fixture
def exact(monkeypatch):
    """Keeps a GPU from rounding to TF32, to compare it with a CPU."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


@pytest.fixture
def supernet():
    """A MobileNetV2 supernet for 32 x 32 pixels, with random weights."""
    from pss.models import SupernetClassifier
    torch.manual_seed(0)
    config = classifier_config(search_space=dict(resolutions=[16, 24, 32]))
    config.pop('type')
    model = SupernetClassifier(**config)
    randomise_statistics(model)
    return model


@pytest.fixture(scope='session')
def bank(tmp_path_factory):
    """The folder of a small bank, which tests must not change."""
    from pss.deploy import write_bank
    folder = tmp_path_factory.mktemp('banks') / 'bank'
    write_bank(random_bank(classes=tuple('abcdefghij'))[1], folder)
    return folder


@pytest.fixture(scope='session')
def imagenet_model():
    """The supernet of ``configs/pss_mbv2_imagenet.py``."""
    from pss.apis import init_model
    return init_model(ROOT / 'configs' / 'pss_mbv2_imagenet.py')


@pytest.fixture(scope='session')
def imagenet_flops(imagenet_model):
    """The cost table of ``imagenet_model``."""
    from pss.resources import flops_table
    return flops_table(imagenet_model)


@pytest.fixture(scope='session')
def tiny_fashion_mnist(tmp_path_factory):
    """A folder in Fashion-MNIST's format: 120 training, 30 test images."""
    folder = tmp_path_factory.mktemp('fashion_mnist')
    write_images(folder)
    return folder


@pytest.fixture
def tiny_config(tiny_fashion_mnist, tmp_path):
    """The demo's config with a small network, on the tiny data: 3 epochs of 6
    iterations."""
    from pss.apis import load_config
    config = load_config(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py')
    return simplify(shrink(config, tiny_fashion_mnist, tmp_path / 'work'))


@pytest.fixture(scope='session')
def searchable(tmp_path_factory):
    """A small supernet that was trained and searched."""
    from .searching import make_searchable
    return make_searchable(tmp_path_factory.mktemp('searchable'))


@pytest.fixture(scope='session')
def tiny_imagenet(tmp_path_factory, tiny_fashion_mnist):
    """A folder in ImageNet's layout, of JPEG files made from the tiny images:
    24 training and 10 validation images of 3 sizes."""
    root = tmp_path_factory.mktemp('data') / 'imagenet'
    write_imagenet(root, tiny_fashion_mnist)
    return root


@pytest.fixture(scope='session')
def class_folder(tmp_path_factory):
    """A folder of 3 classes with 10 PNG files each, which tests must not
    change."""
    return write_folder(tmp_path_factory.mktemp('data') / 'classes')
