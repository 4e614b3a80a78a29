"""Shared by the tests of banks and of exported networks."""

import json
import shutil

import pytest

from pss.deploy.bank_format import digest
from pss.deploy.exporter import Exporter

from ..building import random_bank


def record_of(path):
    """The record beside an exported network."""
    return json.loads(path.with_name(path.name + '.json').read_text())


def rewrite(bank, folder, change):
    """A copy of a bank whose bank.json is changed, with correct checksums."""
    shutil.copytree(bank, folder)
    index = json.loads((folder / 'bank.json').read_text())
    change(index)
    index['sha256'] = 64 * '0'
    text = json.dumps(index)
    (folder / 'bank.json').write_text(
        text.replace(64 * '0', digest(text.encode())))
    return folder


@pytest.fixture(scope='module')
def exporter():
    """An exporter of a bank of two subnets."""
    return Exporter(random_bank(0)[1])
