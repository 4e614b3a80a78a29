import pytest

from pss.apis import build_runner
from pss.engine.hooks.checked_load_hook import CheckedLoadHook
from pss.errors import InputError


def test_the_hook_is_there(tiny_config):
    """Oracle: the hook's class, once."""
    runner = build_runner(tiny_config)
    assert sum(isinstance(hook, CheckedLoadHook) for hook in runner.hooks) == 1


@pytest.mark.parametrize('path, value, message', [
    ('model.backbone.search_space', 3, 'config: model.backbone: '),
    ('model.head.loss.type', 'NoSuchLoss', 'config: model.head.loss: KeyError: '
     'NoSuchLoss is not in the '),
    ('default_hooks.timer.type', 'NoSuchHook', 'config: default_hooks.timer: '),
    ('custom_hooks', [dict(type='EMAHook'),
                      dict(type='NoSuchHook')], 'config: custom_hooks.1: '),
    ('visualizer.type', 'NoSuchVisualizer', 'config: visualizer: '),
    ('runner_type', 'NoSuchRunner', 'config: KeyError: NoSuchRunner'),
])
def test_parts_that_cannot_be_built(tiny_config, path, value, message):
    """Oracle: the place in the config, by hand; the error keeps its cause."""
    tiny_config.merge_from_dict({path: value})
    with pytest.raises(InputError) as info:
        build_runner(tiny_config)
    assert str(info.value).startswith(message)
    assert info.value.__cause__ is not None
