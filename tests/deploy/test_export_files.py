import pytest

from pss.deploy.export_files import check_targets, write_files
from pss.errors import InputError


def test_inputs_are_no_targets(tmp_path):
    """Oracle: two spellings of one file's name."""
    with pytest.raises(InputError, match='a.py: is read by'):
        check_targets([tmp_path / 'a.pth', tmp_path / 'a.py'],
                      [tmp_path / 'c.pth', tmp_path / '.' / 'a.py'])


def test_all_files_or_none(tmp_path):
    """Oracle: the files as they were, where the last one cannot be written."""
    first, last = tmp_path / 'a', tmp_path / 'file' / 'b'
    write_files({first: b'1'})
    last.parent.write_bytes(b'')
    with pytest.raises(InputError, match='b: cannot be written'):
        write_files({first: b'2', last: b'2'})
    assert first.read_bytes() == b'1'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a', 'file']
