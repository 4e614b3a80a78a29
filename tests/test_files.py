import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pss.engine.checkpoints import read_checkpoint
from pss.errors import InputError
from pss.evaluation import read_results
from pss.evaluation.pool_log import read_pool_log
from pss.files import parse_json, read_json, read_regular, whole_file


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


def test_a_folder_that_cannot_be_created(tmp_path):
    """Oracle: the system's reason."""
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='Not a directory|File exists'), \
            whole_file(tmp_path / 'file' / 'x') as temporary:
        temporary.write_text('x')


def special(folder):
    """Files that are not regular, by their names in messages."""
    os.mkfifo(folder / 'pipe')
    (folder / 'folder').mkdir()
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(folder)  # a socket's path has to be short
    server.bind('socket')
    os.chdir(here)
    server.close()
    found = {
        'a named pipe': folder / 'pipe',
        'a folder': folder / 'folder',
        'a socket': folder / 'socket',
        'a device': Path('/dev/zero')
    }
    for number, (what, path) in enumerate(list(found.items())):
        link = folder / f'link{number}'
        link.symlink_to(path)
        yield from ((what, path), (what, link))


@pytest.mark.parametrize('read', [
    read_regular, read_json, read_checkpoint, read_results,
    lambda path: read_pool_log([path])
    if not path.is_dir() else read_regular(path)
])
def test_only_regular_files_are_read(tmp_path, read):
    """Oracle: one line says what it is, at once; reading a pipe that nobody
    writes to or an endless device would take for ever."""
    for what, path in special(tmp_path):
        with pytest.raises(
                InputError, match=f'{path}: is {what}; expected a '
                'regular file') as error:
            read(path)
        assert '\n' not in str(error.value)
    with pytest.raises(InputError, match='none: no such file'):
        read(tmp_path / 'none')
    with pytest.raises(InputError, match='NUL'):
        read(Path('a\0b'))
    (tmp_path / 'circle').symlink_to(tmp_path / 'circle')
    with pytest.raises(InputError, match='circle: cannot be read'):
        read(tmp_path / 'circle')


def test_size_is_asked_before_reading(tmp_path):
    """Oracle: a sparse file larger than the memory; one of exactly the limit,
    through a link; a system file that claims to be empty and is not."""
    path = tmp_path / 'large'
    with open(path, 'wb') as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match='has 1,099,511,627,776 bytes or mor'):
        read_regular(path)
    os.truncate(path, 10)
    (tmp_path / 'link').symlink_to(path)
    assert read_regular(tmp_path / 'link', most=10) == bytes(10)
    with pytest.raises(InputError, match='expected at most 9'):
        read_regular(path, most=9)
    with pytest.raises(InputError, match='expected at most 3'):
        read_regular('/proc/self/status', most=3)


@pytest.mark.parametrize(
    'text, words',
    [('[' * 101 + ']' * 101, 'nested too deeply; expected at most 100'),
     ('{"a":' * 100 + '[]' + '}' * 100, 'expected at most 100'),
     ('[' * 100_000, 'expected at most 100'),
     ('1' * 101, 'an integer of 101 digits; expected at most 100'),
     ('[-' + '1' * 5_000 + ']', 'an integer of'), ('[1', 'delimiter')])
def test_json_has_limits(tmp_path, text, words):
    """Oracle: the limit in one line that names the file."""
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(InputError, match=f'a.json: not a JSON file.*{words}'):
        read_json(tmp_path / 'a.json')


def test_json_within_limits():
    """Oracle: Python's own parser."""
    for text in ('[' * 100 + ']' * 100, '9' * 100, '[1e999, -Infinity, 1.5]',
                 '{"a": ["' + '[' * 1000 + '"]}'):
        assert parse_json(text) == json.loads(text)


def test_a_link_stays(tmp_path):
    """Oracle: the link, what it points to, its permissions and the names in
    both folders; also where nothing is behind the link yet."""
    (tmp_path / 'there').mkdir()
    target = tmp_path / 'there' / 'file'
    (tmp_path / 'link').symlink_to(Path('there', 'file'))
    (tmp_path / 'second').symlink_to(tmp_path / 'link')
    for text in ('one', 'two'):
        with whole_file(tmp_path / 'second') as file:
            file.write_text(text)
        assert (tmp_path / 'link').is_symlink() and not target.is_symlink()
        assert target.read_text() == text
        target.chmod(0o640)
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(target.parent) == ['file']
    assert sorted(os.listdir(tmp_path)) == ['link', 'second', 'there']


def test_permissions_of_a_new_file(tmp_path):
    """Oracle: a file created by open()."""
    with whole_file(tmp_path / 'a') as file:
        file.write_text('a')
    (tmp_path / 'b').write_text('b')
    assert (tmp_path / 'a').stat().st_mode == (tmp_path / 'b').stat().st_mode


def test_what_cannot_be_replaced(tmp_path):
    """Oracle: the message says what it is; it is still there."""
    for what, path in special(tmp_path):
        if what in ('a folder', 'a socket'):
            before = path.lstat()
            with pytest.raises(InputError, match=f'{path}: is {what}'), \
                    whole_file(path) as file:
                file.write_text('a')
            assert path.lstat() == before
    (tmp_path / 'circle').symlink_to(tmp_path / 'circle')
    for path, words in ((tmp_path / 'circle', 'symbolic links|circle'),
                        (Path('a\0b'), 'NUL'), (tmp_path / 'pipe',
                                                'nobody reads')):
        with pytest.raises(InputError, match=words), whole_file(path) as file:
            file.write_text('a')


def test_devices_and_pipes_get_the_bytes(tmp_path):
    """Oracle: what the other end of the pipe reads; the device's node."""
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with whole_file(path) as file:
        file.write_text('bytes')
    assert os.read(end, 100) == b'bytes'
    os.close(end)
    assert path.is_fifo() and os.listdir(tmp_path) == ['pipe']
    before = os.lstat('/dev/null')
    with whole_file('/dev/null') as file:
        file.write_text('bytes')
    with pytest.raises(InputError, match='/dev/full: .*No space left'), \
            whole_file('/dev/full') as file:
        file.write_text('bytes')
    after = os.lstat('/dev/null')
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


@pytest.mark.parametrize('kind', ['pipe', 'file'])
def test_standard_output(tmp_path, kind):
    """Oracle: what a process prints before and after appears before and after
    it, by each of its names."""
    names = ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1']
    program = ('from pss.files import whole_file\n'
               f'for name in {names!r}:\n'
               '    print("before")\n'
               '    with whole_file(name) as file:\n'
               '        file.write_text("it\\n")\n'
               '    print("after")\n')
    path = tmp_path / 'out'
    with open(path, 'wb') as file:
        found = subprocess.run(
            [sys.executable, '-c', program],
            check=True,
            stdout=subprocess.PIPE if kind == 'pipe' else file)
    out = found.stdout if kind == 'pipe' else path.read_bytes()
    assert out.decode().splitlines()[-9:] == ['before', 'it', 'after'] * 3


def test_nothing_of_the_users_is_overwritten(tmp_path):
    """Oracle: files with names that temporary ones had, or might have."""
    names = [f'a.{os.getpid()}.tmp', 'a.tmp', 'a.0.tmp']
    for name in names:
        (tmp_path / name).write_text('mine')
    for _ in range(2):
        with whole_file(tmp_path / 'a') as one, \
                whole_file(tmp_path / 'a') as two:
            assert one != two
            one.write_text('1')
            two.write_text('2')
    assert (tmp_path / 'a').read_text() == '1'
    assert all((tmp_path / name).read_text() == 'mine' for name in names)
    assert sorted(os.listdir(tmp_path)) == sorted([*names, 'a'])


def test_long_names(tmp_path):
    """Oracle: the longest name that Linux allows."""
    with whole_file(tmp_path / ('a' * 255)) as file:
        file.write_text('a')
    assert os.listdir(tmp_path) == ['a' * 255]
