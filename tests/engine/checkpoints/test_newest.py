import os

import pytest
import torch
from mmengine.logging import MMLogger

from pss.apis import find_checkpoint
from pss.errors import InputError

from ...training import save_run


def test_the_newest(tmp_path):
    """Oracle: the pointer; without it the file's time; not its name or
    iteration, which may be higher in files that a run left before it went back
    to an older checkpoint."""
    newest = save_run(tmp_path / 'epoch_9.pth', 800)
    for i, name in enumerate(('epoch_8.pth', 'epoch_10.pth')):
        path = save_run(tmp_path / name, 900)
        os.utime(path, (i, i))
    save_run(tmp_path / 'best_top1_epoch_9.pth', 1000)
    torch.save({'state_dict': {}}, tmp_path / 'weights.pth')
    (tmp_path / 'epoch_11.pth.7.tmp').write_bytes(b'half')
    assert find_checkpoint(tmp_path) == newest
    (tmp_path / 'last_checkpoint').write_text(str(path))
    assert find_checkpoint(tmp_path) == path
    damage(path, 'truncated')
    assert find_checkpoint(tmp_path) == newest
    for text in ('', 'nowhere/epoch_3.pth', '\0'):
        (tmp_path / 'last_checkpoint').write_text(text)
        assert find_checkpoint(tmp_path) == newest


def test_no_checkpoint(tmp_path):
    """Oracle: an empty folder, and a missing one."""
    assert find_checkpoint(tmp_path) is None
    assert find_checkpoint(tmp_path / 'none') is None


def test_the_folder_of_the_pointer(tmp_path):
    """Oracle: a checkpoint in another folder, as with CheckpointHook's
    out_dir."""
    (tmp_path / 'elsewhere').mkdir()
    path = save_run(tmp_path / 'elsewhere' / 'epoch_1.pth', 5)
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work' / 'last_checkpoint').write_text(str(path))
    assert find_checkpoint(tmp_path / 'work') == path


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == 'truncated':
        del data[len(data) // 2:]
    elif how == 'empty':
        data.clear()
    else:  # one bit of a weight, which torch.load() does not notice
        data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize('how', ['truncated', 'empty', 'one bit'])
def test_a_damaged_one_is_passed_over(tmp_path, caplog, how):
    """Oracle: the previous one, and a warning that names the damaged one."""
    before = save_run(tmp_path / 'epoch_1.pth', 100)
    newest = save_run(tmp_path / 'epoch_2.pth', 200)
    damage(newest, how)
    if how == 'one bit':  # otherwise checksums would not be needed
        loaded = torch.load(newest, weights_only=True)['state_dict']['weight']
        assert not torch.equal(loaded, torch.arange(10_000.))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        assert find_checkpoint(tmp_path) == before
    finally:
        logger.removeHandler(caplog.handler)
    assert 'epoch_2.pth' in caplog.text and 'damaged' in caplog.text
    assert str(before) in caplog.text
    damage(before, how)
    with pytest.raises(InputError, match='no checkpoint in.*epoch_1.pth'):
        find_checkpoint(tmp_path)


@pytest.mark.parametrize(
    'changes, words',
    [(dict(meta=dict(epoch=1, iter=-1)), 'meta.iter is -1'),
     (dict(meta=dict(epoch='1', iter=2)), 'meta.epoch is 1; expected int'),
     (dict(optimizer=None), 'optimizer is None'),
     (dict(message_hub=[]), r'message_hub is \[\]'),
     (dict(state_dict=3), 'has no state_dict'), (dict(meta=4), 'meta is 4')])
def test_what_a_run_needs(tmp_path, changes, words):
    """Oracle: the entry in the message."""
    save_run(tmp_path / 'epoch_1.pth', 3, **changes)
    with pytest.raises(InputError, match=words):
        find_checkpoint(tmp_path)


def test_what_else_is_in_the_folder(tmp_path):
    """Oracle: the one checkpoint; everything else is newer than it."""
    path = save_run(tmp_path / 'epoch_1.pth', 5)
    os.utime(path, (1, 1))
    os.mkfifo(tmp_path / 'pipe.pth')
    (tmp_path / 'folder.pth').mkdir()
    (tmp_path / 'zero.pth').symlink_to('/dev/zero')
    (tmp_path / 'nowhere.pth').symlink_to('nothing')
    (tmp_path / 'circle.pth').symlink_to('circle.pth')
    (tmp_path / 'text.pth').write_text('mine')
    torch.save([1], tmp_path / 'list.pth')
    # other people's weights, with what they were trained on
    torch.save(
        dict(meta=dict(epoch=300), state_dict={}), tmp_path / 'mobilenet.pth')
    assert find_checkpoint(tmp_path) == path
    for pointer in ('pipe', 'link', 'circle', 'folder', 'large'):
        (tmp_path / 'last_checkpoint').unlink(missing_ok=True)
        if pointer == 'pipe':
            os.mkfifo(tmp_path / 'last_checkpoint')
        elif pointer == 'folder':
            (tmp_path / 'last_checkpoint').mkdir()
            assert find_checkpoint(tmp_path) == path
            (tmp_path / 'last_checkpoint').rmdir()
        elif pointer == 'large':
            (tmp_path / 'last_checkpoint').write_text('a' * 100_000)
        else:
            (tmp_path / 'last_checkpoint').symlink_to(
                '/dev/zero' if pointer == 'link' else 'last_checkpoint')
        assert find_checkpoint(tmp_path) == path


def test_only_the_weights_of_others(tmp_path):
    """Oracle: there is nothing to resume from, which is not an error."""
    torch.save(
        dict(meta=dict(epoch=300), state_dict={}), tmp_path / 'mobilenet.pth')
    os.mkfifo(tmp_path / 'pipe.pth')
    assert find_checkpoint(tmp_path) is None
