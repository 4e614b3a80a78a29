from pathlib import Path

from mmengine.config import Config

from .conftest import fail


def test_the_log_is_in_the_work_dir(end, tmp_path):
    """Oracle: a file beside the run's other files."""

    def main():
        cfg = Config(dict(work_dir=str(tmp_path / 'work')))
        Path(cfg.work_dir).mkdir()
        raise RuntimeError('lost')

    code, said = end(main)
    log, = (tmp_path / 'work').iterdir()
    assert code == 1 and log.name.startswith('error_') and str(log) in said


def test_without_a_place_for_the_log(end, monkeypatch):
    """Oracle: still a message of one line."""
    monkeypatch.setattr('tempfile.mkstemp', fail(OSError(28, 'full')))
    assert end(fail(RuntimeError('lost'))) == (1, 'error: RuntimeError: lost\n')
