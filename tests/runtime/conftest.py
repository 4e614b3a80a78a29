"""A device bank beside its bank."""

import pytest

from pss.apis import DeviceExporter
from pss.deploy import read_bank


@pytest.fixture(scope='session')
def both_banks(bank, tmp_path_factory):
    """Folders: of the bank, and of its device bank; tests must not change
    them."""
    folder = tmp_path_factory.mktemp('device') / 'bank'
    DeviceExporter(read_bank(bank)).export(folder)
    return bank, folder
