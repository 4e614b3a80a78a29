import pytest

from pss.errors import InputError
from pss.files import whole_file


def test_whole_or_as_before(tmp_path):
    """Oracle: what the file held before an error inside."""
    path = tmp_path / 'new' / 'file.txt'
    with whole_file(path) as temporary:
        temporary.write_text('one')
        assert not path.exists()
    with pytest.raises(KeyError), whole_file(path) as temporary:
        temporary.write_text('tw')
        raise KeyError
    assert path.read_text() == 'one'
    assert [p.name for p in path.parent.iterdir()] == ['file.txt']


def test_a_full_disk(tmp_path):
    """Oracle: Linux's device that is always full."""
    path = tmp_path / 'file.txt'
    path.write_text('one')
    with pytest.raises(InputError, match=r'file.txt: cannot be written '
                                         r'\(No space left'), \
            whole_file(path) as temporary:
        temporary.symlink_to('/dev/full')
        temporary.write_text('two')
    assert path.read_text() == 'one'
    assert [p.name for p in tmp_path.iterdir()] == ['file.txt']


def test_a_folder_that_cannot_be(tmp_path):
    """Oracle: the system's reason."""
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='Not a directory|File exists'), \
            whole_file(tmp_path / 'file' / 'x') as temporary:
        temporary.write_text('x')
