"""Running the scripts of benchmarks/."""

import importlib
import sys

import pytest

from ..paths import ROOT


@pytest.fixture(scope='session')
def script():
    """Imports a script of benchmarks/ by its name, as Python starts it: with
    its folder on the path."""
    sys.path.insert(0, str(ROOT / 'benchmarks'))
    yield importlib.import_module
    sys.path.remove(str(ROOT / 'benchmarks'))


@pytest.fixture
def run_script(script, monkeypatch, capsys):
    """Runs a script with arguments, in the checkout, and returns what it
    prints."""

    def run(name, *arguments):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        script(name).main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def compare(script):
    """The module of the script that compares methods."""
    return script('compare')


@pytest.fixture
def tiny_compare(compare, monkeypatch, tiny_fashion_mnist):
    """The same with the tiny data, which are too few for a search."""
    load = compare.load_config

    def load_tiny(path):
        config = load(path)
        config.test_cfg.search = None
        config.test_cfg.calibration_batches = 1
        for loader in (config.train_dataloader, config.test_dataloader,
                       config.test_cfg.calibration_dataloader,
                       config.test_cfg.selection_dataloader):
            loader.num_workers = 0
            dataset = loader.dataset
            dataset = dataset.get('dataset', dataset)
            dataset.data_root = str(tiny_fashion_mnist)
        return config

    monkeypatch.setattr(compare, 'load_config', load_tiny)
    monkeypatch.setattr(compare, 'SEARCH', None)
    monkeypatch.setattr(compare, 'BATCH_SIZE', 27)
    monkeypatch.setattr(compare, 'DATA_ROOT', str(tiny_fashion_mnist))
    monkeypatch.chdir(ROOT)
    return compare
