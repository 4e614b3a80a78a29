import json
import os
import signal
import subprocess
import sys
import time

import pytest

from pss.errors import InputError
from pss.locks import locked

HOLD = '''
import os, sys, time
from pss.locks import locked
with locked(sys.argv[1], 'it'):
    child = os.fork() if sys.argv[2] == 'fork' else 1
    if child:
        print('held', flush=True)
    time.sleep(60 if child else 2)
'''


def hold(path, how='alone'):
    """Another process that holds a lock."""
    process = subprocess.Popen([sys.executable, '-c', HOLD, path, how],
                               stdout=subprocess.PIPE,
                               text=True)
    assert process.stdout.readline() == 'held\n'
    return process


def test_one_at_a_time(tmp_path):
    """Oracle: the other process's number in the message; the lock is free once
    that process has died."""
    path = tmp_path / 'new' / 'table'
    process = hold(path)
    try:
        with pytest.raises(InputError) as error, locked(path, 'table T'):
            raise AssertionError
        assert 'table T: in use by process' in str(error.value)
        assert f'process {process.pid} on ' in str(error.value)
        assert '\n' not in str(error.value)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with locked(path, 'table T'):
        pass


def test_a_killed_process_whose_children_live_on(tmp_path):
    """Oracle: the lock is free once a child that shares it has ended too."""
    process = hold(tmp_path / 'a', 'fork')
    process.send_signal(signal.SIGKILL)
    process.wait()
    begin = time.time()
    with locked(tmp_path / 'a', 'it'):
        assert time.time() - begin < 10


def test_twice_in_one_process(tmp_path):
    """Oracle: an error; afterwards the lock is free and no holder is recorded,
    also after an error inside."""
    with locked(tmp_path / 'a', 'it'), \
            pytest.raises(InputError, match=f'process {os.getpid()} on'), \
            locked(tmp_path / 'a', 'it'):
        raise AssertionError
    with pytest.raises(KeyError), locked(tmp_path / 'a', 'it'):
        raise KeyError
    assert sorted(os.listdir(tmp_path)) == ['a.lock']
    with locked(tmp_path / 'a', 'it'):
        pass


def test_a_link_is_what_it_points_to(tmp_path):
    """Oracle: the second name of one file cannot be locked."""
    (tmp_path / 'b').symlink_to(tmp_path / 'a')
    with locked(tmp_path / 'a', 'it'), \
            pytest.raises(InputError, match='in use'), \
            locked(tmp_path / 'b', 'it'):
        raise AssertionError


STALE = dict(host='elsewhere', pid=1, since='yesterday')


@pytest.mark.parametrize('text', [
    json.dumps(STALE),
    json.dumps({
        **STALE, 'pid': -1
    }), '{"pid": 10', '[]',
    json.dumps({
        **STALE, 'since': 'a\n\x1b[31mb'
    }), '', '\udcff', 'folder', 'pipe'
])
def test_what_an_earlier_holder_left(tmp_path, text):
    """Oracle: the lock can be taken; the message to others is one line."""
    path = tmp_path / 'a.holder'
    if text == 'folder':
        path.mkdir()
    elif text == 'pipe':
        os.mkfifo(path)
    else:
        path.write_bytes(text.encode('utf-8', 'surrogateescape'))
    if text in ('folder', 'pipe'):
        with locked(tmp_path / 'a', 'it'), \
                pytest.raises(InputError, match='in use by another process'), \
                locked(tmp_path / 'a', 'it'):
            raise AssertionError
        assert path.exists()
        return
    with locked(tmp_path / 'a', 'it'):
        path.write_bytes(text.encode('utf-8', 'surrogateescape'))
        with pytest.raises(InputError) as error, locked(tmp_path / 'a', 'it'):
            raise AssertionError
        assert str(error.value).isprintable()
    assert not path.exists()


def test_a_folder_that_cannot_be_created(tmp_path):
    """Oracle: the system's reason."""
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot be locked'), \
            locked(tmp_path / 'file' / 'a', 'it'):
        raise AssertionError
