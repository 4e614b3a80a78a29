"""Fixtures of the tests of detectors: a small one, tiny data, a bank."""

import subprocess
import sys

import pytest

from ..building import random_bank
from ..paths import ROOT
from .building import BACKBONE, adaptive_config, build


@pytest.fixture
def adaptive():
    """A small adaptive detector with random weights."""
    return build(adaptive_config().model)


@pytest.fixture(scope='session')
def classification_bank(tmp_path_factory):
    """The folder of a MobileNetV2 classifier's bank, its supernet, the bank."""
    from pss.deploy import write_bank
    folder = tmp_path_factory.mktemp('banks') / 'classifier'
    model, bank = random_bank(num=2, **BACKBONE)
    write_bank(bank, folder)
    return folder, model, bank


@pytest.fixture(scope='session')
def garments(tmp_path_factory, tiny_fashion_mnist):
    """The folder of a small dataset in COCO's format: 48, 12 and 16 images."""
    folder = tmp_path_factory.mktemp('data') / 'garments'
    subprocess.run([
        sys.executable, '-W', 'ignore',
        str(ROOT / 'tools/dataset_converters/fashion_mnist_detection.py'),
        '--source',
        str(tiny_fashion_mnist), '--out',
        str(folder), '--num', '48', '12', '16'
    ],
                   check=True)
    return folder
