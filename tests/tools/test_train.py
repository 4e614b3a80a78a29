"""Training with ``tools/train.py``."""

import json
import os
import runpy

import pytest
from mmengine.config import Config

from pss.apis import AdaptiveClassifier
from pss.locks import locked

from ..paths import ROOT
from ..training import save_run
from .conftest import DEMO, LOADERS, options


def test_training_that_diverges_exits_with_3(call, small, tiny_fashion_mnist,
                                             tmp_path):
    """Oracle: one line that names iteration, loss and subnet, and status 3; the
    log of the pools can still be drawn."""
    words = options(tiny_fashion_mnist, False, 27)
    words[words.index('optim_wrapper.optimizer.lr=0.01')] = \
        'optim_wrapper.optimizer.lr=1e30'
    code, out = call('train.py', small, '--work-dir', tmp_path, '--no-validate',
                     *words, 'default_hooks.pool_log.interval=1')
    assert code == 3
    last = out.strip().splitlines()[-1]
    assert last.startswith('error: iteration 2: loss_largest=')
    assert 'Subnet(resolution=28' in last
    code, out = call('analysis_tools/plot_pools.py', tmp_path, '--out',
                     tmp_path / 'pools.png')
    assert code == 0 and (tmp_path / 'pools.png').is_file(), out
    code, out = call('analysis_tools/plot_pools.py', tmp_path / 'none.json')
    assert (code, out.count('\n')) == (2, 1) and 'none.json' in out


def test_runs_of_one_second_keep_their_own_logs(call, small, tiny_fashion_mnist,
                                                tmp_path, monkeypatch):
    """Oracle: of two runs that begin in the same second, each has its log in
    its own folder."""
    monkeypatch.setattr('time.strftime', lambda *_: '20260101_000000')
    for name in 'ab':
        code, out = call('train.py', small, '--work-dir',
                         tmp_path / name, '--no-validate',
                         *options(tiny_fashion_mnist, False,
                                  27), 'default_hooks.logger.interval=1',
                         'train_cfg.max_epochs=1')
        assert code == 0, out[-3000:]
        assert list((tmp_path / name).rglob('scalars.json'))


@pytest.mark.parametrize('network, mflops',
                         [('mbv1', (568.790528, 106.78272)),
                          ('mbv2', (300.836992, 69.150208)),
                          ('r50', (4089.284608, 759.484416))])
def test_imagenet_recipes_on_tiny_data(call, tiny_imagenet, tmp_path, network,
                                       mflops):
    """Oracle: two iterations on real JPEG files in ImageNet's layout, then
    validation and test, with the real config; the published FLOPs of the
    MobileNets, fvcore's of ResNet-50."""
    config = ROOT / 'configs' / f'pss_{network}_imagenet.py'
    small = [
        *options(tiny_imagenet, True, 2),
        'train_dataloader.dataset.dataset.indices=5',
        'test_dataloader.dataset.indices=4'
    ]
    code, out = call('train.py', config, '--work-dir', tmp_path, *small)
    assert code == 0, out[-3000:]
    assert 'Epoch(train) [1][2/2]' in out and 'largest/top5' in out
    code, out = call('test.py', config, tmp_path / 'epoch_1.pth', '--work-dir',
                     tmp_path, *small)
    assert code == 0, out[-3000:]
    results = json.loads((tmp_path / 'results.json').read_text())
    assert (results['largest']['mflops'],
            results['smallest']['mflops']) == mflops
    assert 1 <= len(results['pools']) <= 2


def test_arguments_of_mmpretrain(call, small, tiny_fashion_mnist, tmp_path):
    """Oracle: what each argument changes, in the log and the checkpoints."""
    words = options(tiny_fashion_mnist, False, 27)
    code, out = call('train.py', small, '--work-dir', tmp_path, '--amp',
                     '--no-validate', '--auto-scale-lr', '--no-pin-memory',
                     '--no-persistent-workers', '--launcher', 'none', *words)
    assert code == 0, out[-3000:]
    assert 'Epoch(val)' not in out
    assert 'LR is set based on batch size of 128' in out
    code, out = call('train.py', small, '--work-dir', tmp_path, '--resume',
                     *words, 'train_cfg.max_epochs=2')
    assert code == 0, out[-3000:]
    assert 'resumed epoch: 1' in out and 'Epoch(train) [2]' in out
    assert 'Epoch(train) [1]' not in out
    assert (tmp_path / 'epoch_2.pth').is_file()
    code, out = call('train.py', small, '--work-dir', tmp_path, '--resume',
                     tmp_path / 'epoch_1.pth', *words)
    assert code == 0 and 'resumed epoch: 1' in out


@pytest.mark.parametrize('count, resume, load_from, expected',
                         [(0, None, None, (False, None)),
                          (0, None, 'weights.pth', (False, 'weights.pth')),
                          (1, None, 'weights.pth', (True, 'new.pth')),
                          (1, 'auto', None, (True, 'new.pth')),
                          (1, 'old.pth', 'old.pth', (True, 'new.pth')),
                          (0, 'old.pth', 'old.pth', (True, 'old.pth'))])
def test_what_a_restart_goes_on_from(tmp_path, monkeypatch, count, resume,
                                     load_from, expected):
    """Oracle: the newest checkpoint of this launch, whatever the command line
    says; without one, what the command line says."""
    choose = runpy.run_path(str(ROOT / 'tools' /
                                'train.py'))['choose_checkpoint']
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', str(count))
    monkeypatch.setenv('PSS_LAUNCHED_AT', '1000')
    old, new = (save_run(tmp_path / name, 5) for name in ('old.pth', 'new.pth'))
    os.utime(old, (900, 900))
    os.utime(new, (1000, 1000))

    def chosen():
        cfg = Config(
            dict(
                resume=resume is not None,
                load_from=load_from,
                work_dir=str(tmp_path)))
        choose(cfg, resume)
        return cfg.resume, cfg.load_from and os.path.basename(cfg.load_from)

    assert chosen() == expected
    new.unlink()
    assert chosen() == ((True, 'old.pth') if resume == 'auto' else
                        (resume is not None, load_from))


@pytest.mark.parametrize('option, words', [
    ('default_hooks.pss_sampler.sampler.pool_sizes=3',
     "did you mean 'pool_size'"),
    ('default_hooks.pss_sampler.budgets.flops.step=0', 'step=0'),
    ('default_hooks.pss_sampler.budgets.flops.start=30', 'empty'),
    ('default_hooks.pss_sampler.budgets.flops.stop=40.5', 'level=21.5'),
    ('sync_bn=mmcv', "sync_bn='mmcv'"),
    ('train_dataloader.dataset.dataset.data_root=nowhere',
     "train_dataloader.dataset.dataset.data_root='nowhere'"),
])
def test_bad_configs_end_in_one_line(call, tiny_fashion_mnist, tmp_path, option,
                                     words):
    """Oracle: status 2, and field and value in the last line."""
    code, out = call('train.py', DEMO, '--work-dir', tmp_path,
                     *options(tiny_fashion_mnist, False), option)
    line = out.strip().splitlines()[-1]
    assert code == 2 and line.startswith('error: ') and words in line
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize(
    'field, words',
    [('train_cfg=None', 'train_cfg is missing; training needs it'),
     ('train_dataloader=None', 'train_dataloader is missing'),
     ('optim_wrapper=5', 'optim_wrapper=5: expected a dict'),
     ('model=None', 'model is missing'), ('model.head.num_classes=11', '=11'),
     ('randomness.seed=-1', 'randomness.seed=-1: expected an integer'),
     ('optim_wrapper.type=NoSuch', 'config: optim_wrapper: KeyError: NoSuch'),
     ('visualizer.type=NoSuch', 'config: visualizer: KeyError: NoSuch'),
     ('train_dataloader.dataset.dataset.pipeline.0.type=NoSuch',
      'config: train_dataloader.dataset.dataset.pipeline.0: KeyError: NoSuch'),
     ('train_dataloader.persistent_workers=True',
      'train_dataloader.persistent_workers=True'),
     ('model.channels_last=x', "channels_last='x': expected True or False"),
     ('default_hooks.checkpoint.interval=0', 'checkpoint.interval=0: expected'),
     ('data_preprocessor.std=[90,0,90]',
      'data_preprocessor.std[1]=0: expected a finite number above 0'),
     ('data_preprocessor.mean=[nan,0,0]', 'data_preprocessor.mean[0]='),
     ('word', "'word': expected KEY=VALUE"), ('a[0]=', "'a[0]='"),
     ('load_from.a=1', "load_from is None, which has no 'a'")])
def test_fields(refuse, small, tiny_fashion_mnist, field, words):
    """Oracle: the field, and what is wrong with it."""
    assert words in refuse('train.py', small, '--work-dir', 'work',
                           *options(tiny_fashion_mnist, False, 27), field)


@pytest.mark.parametrize('folder, reason', [('/sys/work', 'not permitted'),
                                            ('/proc/work', 'No such file'),
                                            ('{file}/work', 'Not a directory')])
def test_a_work_dir_that_cannot_be_written_to(call, tiny_fashion_mnist,
                                              tmp_path, folder, reason):
    """Oracle: the system's reason, in one line, before anything is built; the
    first two file systems refuse an administrator too."""
    (tmp_path / 'file').write_text('')
    folder = folder.format(file=tmp_path / 'file')
    code, out = call('train.py', DEMO, '--work-dir', folder,
                     *options(tiny_fashion_mnist, False))
    assert code == 2 and f"work_dir='{folder}': cannot be written to" in out
    assert reason in out and len(out.strip().splitlines()) == 1, out


def test_a_work_dir_in_use(refuse, tmp_path, tiny_fashion_mnist):
    """Oracle: the message names the process that holds it, here this one."""
    work = tmp_path / 'runs'
    with locked(work / '.train', 'work_dir'):
        line = refuse('train.py', DEMO, '--work-dir', work,
                      *options(tiny_fashion_mnist, False, 27))
    assert f"work_dir='{work}': in use by process {os.getpid()}" in line
    assert not list(work.glob('*.pth'))


def test_a_folder_of_classes(call, class_folder, tmp_path):
    """Oracle: a folder is all that is needed: the log names its classes, the
    bank has them, and tools/test.py finds the same test images, both by the
    config that training wrote and by the original."""
    config = ROOT / 'configs' / 'pss_mbv2_folder.py'
    data = [f'data_root={class_folder}']
    small = [
        *data, 'train_dataloader.batch_size=8', 'train_cfg.max_epochs=1',
        'val_cfg.ranked_pools=0', 'val_cfg.calibration_batches=1',
        'test_cfg.calibration_batches=1', 'test_cfg.search=None',
        'default_hooks.pss_sampler.budgets.flops.pools=2',
        *(f'{name}.num_workers=0' for name in LOADERS)
    ]
    code, out = call('train.py', config, '--work-dir', tmp_path,
                     '--cfg-options', *small)
    assert code == 0, out[-3000:]
    assert "3 classes: ['ant', 'bee', 'cow']" in out
    log = next(tmp_path.glob('2*/*.log')).read_text()
    assert 'Images to train: 24, to hold out: 3, to test: 3' in log
    assert AdaptiveClassifier(tmp_path / 'bank').classes == ('ant', 'bee',
                                                             'cow')
    results = json.loads((tmp_path / 'results.json').read_text())
    written = tmp_path / 'pss_mbv2_folder.py'
    for used, words in ((config, small), (written, data)):
        out_dir = tmp_path / used.parent.name
        code, out = call('test.py', used, tmp_path / 'epoch_1.pth',
                         '--work-dir', out_dir, '--cfg-options', *words)
        assert code == 0, out[-3000:]
        found = json.loads((out_dir / 'results.json').read_text())
        assert found['largest'] == results['largest']
        assert found['pools'] == results['pools']
