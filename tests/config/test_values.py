"""Values of the wrong type or out of their range."""

import logging

import pytest

from pss.cli import verify_config
from pss.errors import InputError

WRONG = (None, 'a text', [1], dict(a=1), True, float('nan'), 1e400, 10**400, -1)
INTEGERS = [
    'train_cfg.max_epochs', 'train_cfg.val_interval',
    'train_dataloader.batch_size', 'val_dataloader.batch_size',
    'test_dataloader.num_workers', 'train_dataloader.num_workers',
    'val_cfg.calibration_dataloader.batch_size',
    'test_cfg.selection_dataloader.num_workers', 'test_cfg.candidates',
    'test_cfg.calibration_batches', 'model.head.num_classes',
    'optim_wrapper.accumulative_counts', 'auto_scale_lr.base_batch_size'
]
NUMBERS = [
    f'optim_wrapper.optimizer.{name}'
    for name in ('lr', 'momentum', 'weight_decay')
]
BOOLEANS = [
    'resume', 'auto_scale_lr.enable', 'train_dataloader.drop_last',
    'randomness.deterministic', 'optim_wrapper.optimizer.nesterov',
    'custom_imports.allow_failed_imports'
]
TEXTS = [
    'load_from', 'work_dir', 'launcher', 'log_level',
    'train_dataloader.dataset.dataset.data_root',
    'train_dataloader.dataset.dataset.ann_file',
    'train_dataloader.dataset.dataset.data_prefix', 'default_scope'
]
DICTS = [
    'model', 'model.backbone', 'train_dataloader', 'train_dataloader.dataset',
    'train_dataloader.sampler', 'train_cfg', 'optim_wrapper',
    'optim_wrapper.optimizer', 'default_hooks', 'default_hooks.logger',
    'randomness', 'env_cfg', 'env_cfg.mp_cfg', 'visualizer', 'param_scheduler',
    'val_evaluator', 'test_cfg', 'test_evaluator', 'custom_imports',
    'custom_imports.imports'
]
OTHERS = [
    'randomness.seed', 'compile', 'sync_bn', 'amp', 'val_cfg.amp', 'model.neck',
    'model.type', 'model.head', 'model.head.loss', 'custom_hooks',
    'param_scheduler.T_max', 'default_hooks.pss_sampler.budgets',
    'train_cfg.type', 'train_dataloader.dataset.every'
]
# values that are valid nevertheless
VALID = {
    'load_from': (None, 'a text'),
    'resume': (True, ),
    'work_dir': ('a text', ),
    'visualizer': (None, dict(a=1)),
    'default_hooks.logger': (None, dict(a=1)),
    'param_scheduler': (None, dict(a=1)),
    'default_hooks': (None, )
}
EVERY = INTEGERS + NUMBERS + BOOLEANS + TEXTS + DICTS + OTHERS


@pytest.mark.parametrize('path', EVERY)
def test_values_of_the_wrong_type(small, path, monkeypatch, tmp_path):
    """Oracle: an InputError of one line that names the field, or a config that
    is still valid; never another exception."""
    monkeypatch.chdir(tmp_path)  # 'a text' is a valid work_dir
    name = path.rpartition('.')[2]
    for value in WRONG:
        config = small(path, value)
        try:
            verify_config(config)
        except InputError as error:
            assert '\n' not in str(error) and len(str(error)) < 1000
            if path not in OTHERS:
                assert name in str(error), (value, str(error))
                assert error.__cause__ is None, (value, str(error))
            continue
        if path in INTEGERS or path in DICTS:
            assert value in VALID.get(path, ()) or isinstance(value, dict) or \
                value is None or path == 'custom_imports.imports', value
        elif path in NUMBERS:
            raise AssertionError(value)
        elif path in BOOLEANS:
            assert value is True
        elif path in TEXTS:
            assert isinstance(value, str) or value is None


@pytest.mark.parametrize('path, value, message', [
    ('train_cfg.max_epochs', 0, 'train_cfg.max_epochs=0: expected an integer '
     'of at least 1'),
    ('train_cfg.val_interval', 0.5, 'train_cfg.val_interval=0.5: expected an '),
    ('train_dataloader.num_workers', 10**6, 'at most 1024'),
    ('randomness.seed', 2**32, 'randomness.seed=4294967296: expected '),
    ('randomness.sed', 1, "did you mean 'seed'"),
    ('log_level', 'LOUD', "log_level='LOUD': expected one of 'CRITICAL'"),
    ('optim_wrapper.optimizer.type', 'SGDD', "type='SGDD': expected an "),
    ('model.head.num_classes', 11, 'model.head.num_classes=11: expected '
     'data_preprocessor.num_classes=10'),
    ('val_evaluator', None, 'val_evaluator is missing; val_dataloader is'),
    ('param_scheduler.T_max', 0, 'param_scheduler.T_max=0: expected '),
])
def test_messages(small, path, value, message):
    """Oracle: field, value and what was expected, by hand."""
    with pytest.raises(InputError) as info:
        verify_config(small(path, value))
    assert message in str(info.value)


def test_valid_values(small, tiny_fashion_mnist):
    """Oracle: what MMEngine and mmpretrain accept."""
    verify_config(small())
    for path, value in (('randomness.seed', None), ('log_level', logging.INFO),
                        ('custom_imports.imports', 'pss'),
                        ('load_from', 'a.pth'), ('param_scheduler', None),
                        ('optim_wrapper.optimizer.lr',
                         1), ('optim_wrapper.optimizer.lr',
                              0.), ('optim_wrapper.optimizer.type', 'AdamW'),
                        ('train_dataloader.dataset.dataset.data_root',
                         's3://bucket/a'),
                        ('train_dataloader.dataset.dataset.ann_file',
                         str(tiny_fashion_mnist / 'train-labels-idx1-ubyte'))):
        verify_config(small(path, value))
