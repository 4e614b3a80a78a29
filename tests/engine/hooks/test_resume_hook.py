"""The log and the seeds; runner/test_train_loop.py resumes whole runs."""

from types import SimpleNamespace

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import EpochBasedTrainLoop

from pss.engine import ResumeHook
from pss.engine.randomness import mixed


def test_the_log_is_plain_data(tmp_path):
    """Oracle: the original buffer; torch loads the file as data only, and
    MMEngine's buffer continues to count."""
    buffer = HistoryBuffer([1., 2.], [1, 3], max_length=7)
    checkpoint = dict(
        meta=dict(epoch=0, iter=np.int64(2)),
        message_hub=dict(
            log_scalars=dict(loss=buffer),
            runtime_info=dict(lr=np.float64(0.5), shape=(np.arange(2), ))))
    ResumeHook().before_save_checkpoint(
        SimpleNamespace(train_loop=None), checkpoint)
    torch.save(checkpoint, tmp_path / 'a.pth')
    loaded = torch.load(tmp_path / 'a.pth', weights_only=True)
    saved = loaded['message_hub']['log_scalars']['loss']
    assert saved['values'].tolist() == [1., 2.]
    assert saved['counts'].tolist() == [1, 3] and saved['max_length'] == 7
    assert loaded['message_hub']['runtime_info'] == dict(
        lr=0.5, shape=([0, 1], ))
    assert type(loaded['meta']['iter']) is int


def test_the_place_in_the_epoch():
    """Oracle: after 8 iterations, with 6 per epoch, 2 are done; a checkpoint
    written at the end of an epoch has none."""
    loop = object.__new__(EpochBasedTrainLoop)
    for epoch, iteration, done in ((1, 8, 2), (2, 12, 0)):
        checkpoint = dict(
            meta=dict(epoch=epoch, iter=iteration),
            message_hub=dict(log_scalars={}, runtime_info={}))
        runner = SimpleNamespace(
            train_loop=loop, train_dataloader=range(6), epoch=1)
        ResumeHook().before_save_checkpoint(runner, checkpoint)
        assert checkpoint['pss_progress'] == dict(done=done, length=6)


def test_iterations_are_seeded():
    """Oracle: torch's draws from the mixed seed, whatever was drawn before."""
    runner = SimpleNamespace(seed=3, iter=5, epoch=1, rank=2)
    torch.manual_seed(mixed(3, 5, 2))
    expected = torch.rand(3)
    ResumeHook().before_train_iter(runner, 0)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(mixed(3, 1, 2))
    expected = torch.rand(3)
    ResumeHook().before_train_epoch(runner)
    assert torch.equal(torch.rand(3), expected)
