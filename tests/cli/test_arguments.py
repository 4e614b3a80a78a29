import argparse

import pytest

from pss.apis import load_config
from pss.cli import merge_options
from pss.errors import InputError
from pss_command.arguments import add_options

from ..paths import ROOT


def parse(*words):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(['--cfg-options', *words]).cfg_options


@pytest.mark.parametrize(
    'word', ['word', '=', 'a=', '=1', 'a[0]=1', 'a..b=1', 'a.=1', 'a=[1,(2'])
def test_malformed_options(word, capsys):
    """Oracle: argparse's exit status; the word in its message."""
    with pytest.raises(SystemExit) as info:
        parse(word)
    last = capsys.readouterr().err.splitlines()[-1]
    assert info.value.code == 2 and repr(word) in last


@pytest.mark.parametrize(
    'words, message',
    [(['load_from.a.b=1'], "load_from is None, which has no 'a'"),
     (['log_level.a=1'], "log_level is 'INFO', which has no 'a'"),
     (['param_scheduler.9.end=1'], "param_scheduler has 2 entries.*not '9'"),
     (['param_scheduler.-1.end=1'], "not '-1'"),
     (['param_scheduler.end=1'], "not 'end'"),
     (['new=1', 'new.a=1'], '--cfg-options: TypeError'),
     (['default_hooks=3'], 'default_hooks=3: expected a dict'),
     (['custom_hooks=[3]'], r'custom_hooks\[0\]=3: expected a dict')])
def test_options_that_do_not_fit(words, message):
    """Oracle: the message names the option and what the config has there."""
    cfg = load_config(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py')
    with pytest.raises(InputError, match=message):
        merge_options(cfg, parse(*words))


def test_options_that_fit():
    """Oracle: the values as MMEngine parses them."""
    cfg = load_config(ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py')
    merge_options(
        cfg,
        parse('param_scheduler.1.T_max=7', 'new.key=(1,2)', "load_from=a=b",
              'optim_wrapper._delete_=True',
              'optim_wrapper.optimizer.type=SGD'))
    assert cfg.param_scheduler[1].T_max == 7 and cfg.new.key == (1, 2)
    assert cfg.load_from == 'a=b'
    assert cfg.optim_wrapper == dict(optimizer=dict(type='SGD'))
