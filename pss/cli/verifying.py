"""Checks of a whole config, before a tool builds any of it."""

import tempfile
from pathlib import Path

from mmengine.config import Config

from ..config import (
    check_data,
    check_detector,
    check_sections,
    check_values,
    fill_from_data,
    import_modules,
    name_of,
    need_fields,
)
from ..config.failures import said
from ..errors import InputError
from ..files import system_errors
from ..registry import check_config


def strip_training(cfg: Config, checkpoint: str) -> None:
    """Removes the training parts of a config, for a Runner that tests
    ``checkpoint``."""
    cfg.load_from = checkpoint
    cfg.resume = False
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = None
    cfg.param_scheduler = cfg.auto_scale_lr = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None


def verify_config(cfg: Config) -> None:
    """Checks everything that can be checked before anything is built, and fills
    in the fields that follow from the data.

    Raises:
        InputError: for an unknown key, a bad value, a module or data that do
            not exist, a work directory that cannot be written to, a supernet
            that is to be compiled, or a detector's neck that does not fit its
            backbone.
    """
    try:
        _verify(cfg)
    except (InputError, OSError):
        raise
    except Exception as error:
        raise InputError(f'{name_of(cfg)}: {said(error)}') from error


def _verify(cfg: Config) -> None:
    check_sections(cfg)
    need_fields(cfg, ['model'])
    import_modules(cfg)
    check_config(cfg)
    fill_from_data(cfg)
    check_values(cfg)
    check_detector(cfg)
    if cfg.get('compile') and 'pss.Supernet' in str(cfg.model.get('type')):
        raise InputError(
            f'compile={cfg.compile!r}: a supernet has different shapes in '
            'each pass and would be compiled again and again; expected compile '
            'only in the config of one subnet, such as '
            'tools/deployment/export_subnet.py writes')
    if cfg.get('sync_bn') not in (None, 'torch'):
        raise InputError(
            f'sync_bn={cfg.sync_bn!r}: layers of that kind cannot change their '
            "width; expected None or 'torch'")
    _check_folder(cfg.work_dir)
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader',
                  'val_cfg', 'test_cfg'):
        check_data(cfg.get(field), field)


def _check_folder(work_dir: str) -> None:
    """Checks that logs and checkpoints can be written."""
    with system_errors(f'work_dir={work_dir!r}: cannot be written to'):
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir) as file:
            file.write(b'0' * 4096)
