import torch
from mmengine.runner import Runner

from pss.models import sort_channels
from pss.supernet import blank

from ...training import train


def test_training_starts_from_sorted_channels(tiny_config, tmp_path):
    """Oracle: sorting the weights that training starts from; a training that
    goes on is left alone."""
    tiny_config.train_cfg.max_epochs = 1
    tiny_config.test_cfg.candidates = 1
    first = train(tiny_config)
    path = tmp_path / 'plain.pth'
    torch.save(dict(state_dict=first.model.state_dict()), path)
    started = {}

    config = tiny_config.copy()
    config.load_from = str(path)
    config.custom_hooks = [
        *config.get('custom_hooks', []),
        dict(type='pss.SortChannelsHook')
    ]
    config.work_dir = str(tmp_path / 'second')
    runner = Runner.from_cfg(config)
    hook, = [
        hook for hook in runner.hooks
        if type(hook).__name__ == 'SortChannelsHook'
    ]
    runner.load_checkpoint(str(path))
    model = runner.model
    model.switch_to(model.search_space.smallest)
    hook.before_train(runner)
    started = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(torch.load(path)['state_dict'])
    model.switch_to(model.search_space.largest)
    sort_channels(model, blank(model, 28))
    for key, value in model.state_dict().items():
        assert torch.equal(value, started[key])
    runner._train_loop = first.train_loop  # which has iterations behind it
    model.load_state_dict(torch.load(path)['state_dict'])
    hook.before_train(runner)
    for key, value in torch.load(path)['state_dict'].items():
        assert torch.equal(value, model.state_dict()[key])
