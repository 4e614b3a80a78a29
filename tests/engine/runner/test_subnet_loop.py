import pytest
from mmengine.runner import Runner

from pss.errors import InputError


def test_held_out_images_are_never_trained_on(tiny_config):
    """Oracle: the two sets of images, as bytes."""
    runner = Runner.from_cfg(tiny_config)
    sets = []
    for loader in (tiny_config.train_dataloader, tiny_config.val_dataloader,
                   tiny_config.test_cfg.selection_dataloader,
                   tiny_config.test_cfg.calibration_dataloader):
        dataset = runner.build_dataloader(loader).dataset
        sets.append({
            dataset.get_data_info(i)['img'].tobytes()
            for i in range(len(dataset))
        })
    trained_on, validation, selection, calibration = sets
    assert len(trained_on) == 110 and len(validation) == 10
    assert not trained_on & validation
    assert validation == selection and trained_on == calibration


def test_a_missing_sampler_hook_is_an_error(tiny_config):
    """Oracle: the hook's name in the message."""
    del tiny_config.default_hooks.pss_sampler
    runner = Runner.from_cfg(tiny_config)
    with pytest.raises(InputError, match='pss.PSSSamplerHook'):
        runner.test()


@pytest.mark.parametrize('key, value', [('calibration_batches', 0),
                                        ('calibration_batches', True),
                                        ('calibration_batches', 1.5),
                                        ('metric', 3), ('fp16', 'no'),
                                        ('amp', 'float8')])
@pytest.mark.parametrize('mode', ['val', 'test'])
def test_bad_arguments(tiny_config, mode, key, value):
    """Oracle: field and value in the message, named as in the config."""
    tiny_config[f'{mode}_cfg'][key] = value
    runner = Runner.from_cfg(tiny_config)
    name = key if key == 'amp' else rf'{mode}_cfg\.{key}'
    with pytest.raises(InputError, match=rf'^{name}={value!r}: expected'):
        getattr(runner, f'{mode}_loop')


@pytest.mark.parametrize('name, value',
                         [('test_cfg.candidates', 0),
                          ('test_cfg.candidates', '5'), ('val_cfg.pools', 1),
                          ('val_cfg.ranked_pools', -1),
                          ('val_cfg.ranked_members', 1),
                          ('test_dataloader.batch_size', 0),
                          ('val_dataloader.num_workers', -1),
                          ('test_cfg.selection_dataloader.batch_size', 2.),
                          ('val_cfg.calibration_dataloader.batch_size', -3)])
def test_bad_values_of_one_loop(tiny_config, name, value):
    """Oracle: field and value in the message."""
    tiny_config.merge_from_dict({name: value})
    runner = Runner.from_cfg(tiny_config)
    with pytest.raises(InputError, match=rf'^{name}={value!r}: expected'):
        getattr(runner, f'{name.split("_")[0]}_loop')


def test_calibration_without_a_batch(tiny_config):
    """Oracle: the field in the message; the batch would be larger than the
    110 images."""
    tiny_config.test_cfg.calibration_dataloader.update(
        batch_size=111, drop_last=True)
    loop = Runner.from_cfg(tiny_config).test_loop
    with pytest.raises(InputError, match='calibration_dataloader: .*no batch'):
        loop.calibrate([loop.model.search_space.smallest])


def test_a_metric_that_is_no_number(tiny_config):
    """Oracle: an error with the field's name, since NaN cannot be compared."""
    loop = Runner.from_cfg(tiny_config).test_loop
    assert loop.metric_of({'accuracy/top1': 3.}) == 3.
    with pytest.raises(InputError, match="test_cfg.metric='top1'.* nan"):
        loop.metric_of({'accuracy/top1': float('nan')})
