import os

import pytest

from pss.errors import InputError
from pss.outputs import check_out, check_out_folder, check_report


def test_nothing_is_left_behind(tmp_path):
    """Oracle: the folder is unchanged; the existing file keeps its content."""
    (tmp_path / 'old.json').write_text('kept')
    assert check_out(tmp_path / 'old.json') == tmp_path / 'old.json'
    assert check_report(tmp_path / 'new' / 'a.json') == \
        tmp_path / 'new' / 'a.json'
    assert check_out_folder(tmp_path / 'a' / 'b') == tmp_path / 'a' / 'b'
    assert os.listdir(tmp_path) == ['old.json']
    assert (tmp_path / 'old.json').read_text() == 'kept'


@pytest.mark.parametrize('check, words', [
    (lambda p: check_out(p / 'a.txt', suffix='.json'), 'ending in .json'),
    (lambda p: check_out(p), 'expected a file, found something else'),
    (lambda p: check_out(p / 'f' / 'a'), r'cannot be written \(Not a dir'),
    (lambda p: check_out(p / 'f', [None, p / 'link']),
     'would overwrite .*link'),
    (lambda p: check_report(p / 'a.json', [p / 'a.png']), 'overwrite .*a.png'),
    (lambda p: check_report(p / 'a.json', [p / 'a.html']), 'overwrite .*html'),
    (lambda p: check_out_folder(p / 'f'), 'expected a folder, found'),
    (lambda p: check_out(p / 'f', [p / 'f'], option='--log'), '--log=.*/f: '),
])
def test_what_cannot_be_written(tmp_path, check, words):
    """Oracle: the reason, by hand; `f` is a file, `link` a link to it."""
    (tmp_path / 'f').write_text('')
    (tmp_path / 'link').symlink_to('f')
    with pytest.raises(InputError, match=words):
        check(tmp_path)
