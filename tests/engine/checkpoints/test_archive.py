"""Archives that torch would read, or that would fill the memory."""

import copy
import warnings
import zipfile

import pytest
import torch

from pss.engine.checkpoints import read_checkpoint
from pss.errors import InputError

from .conftest import save


def repack(path, change, **options):
    """Rewrites an archive, each entry as ``change`` returns it."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # duplicate names
        with zipfile.ZipFile(path, 'w', **options) as archive:
            for name, content in change(entries):
                archive.writestr(name, content)


def test_packed_archives(tmp_path):
    """Oracle: an error before anything is unpacked; torch loads the file."""
    path = save(tmp_path / 'a.pth', state_dict={'a': torch.zeros(1000)})
    repack(path, lambda entries: entries, compression=zipfile.ZIP_DEFLATED)
    assert 'state_dict' in torch.load(path, weights_only=True)
    with pytest.raises(
            InputError, match=r"a.pth: its entry '.*' is compressed"):
        read_checkpoint(path)


def test_entries_that_share_bytes(tmp_path):
    """Oracle: an archive that lists its largest entry fifty times."""
    path = save(tmp_path / 'a.pth', state_dict={'a': torch.zeros(1000)})
    with zipfile.ZipFile(path, 'a') as archive:
        large = max(archive.infolist(), key=lambda entry: entry.file_size)
        for i in range(50):
            again = copy.copy(large)
            again.filename = f'{large.filename}{i}'
            archive.filelist.append(again)
        archive._didModify = True
    with pytest.raises(InputError, match='a.pth: its entries have .* bytes'):
        read_checkpoint(path)


def test_entries_of_one_name(tmp_path):
    """Oracle: an error; nothing would check the second entry's checksum."""
    path = save(tmp_path / 'a.pth', state_dict={'a': torch.zeros(10)})
    repack(path, lambda entries: [*entries, entries[0]])
    with pytest.raises(InputError, match='the same name'):
        read_checkpoint(path)


def test_an_archive_without_its_end(tmp_path):
    """Oracle: an error; torch would read it without checksums, if at all."""
    path = save(tmp_path / 'a.pth', state_dict={'a': torch.zeros(10)})
    path.write_bytes(path.read_bytes() + b'x' * 70_000)
    with pytest.raises(InputError, match='a.pth: truncated or damaged'):
        read_checkpoint(path)


def test_the_format_of_before_torch_1_6(tmp_path):
    """Oracle: what was saved."""
    torch.save({'state_dict': {
        'a': torch.arange(3.)
    }},
               tmp_path / 'a.pth',
               _use_new_zipfile_serialization=False)
    found = read_checkpoint(tmp_path / 'a.pth')['state_dict']
    assert found['a'].tolist() == [0, 1, 2]
