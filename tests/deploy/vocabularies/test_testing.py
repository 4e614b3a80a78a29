"""The lists for testing exported networks."""

import copy
import json
import pickle

import pytest

from pss.apis import load_config
from pss.deploy.vocabularies import check_testing, detectors
from pss.deploy.vocabularies.stripping import kept_testing
from pss.errors import InputError

from ...paths import ROOT

STEPS = [
    dict(type='LoadImageFromFile'),
    dict(type='CenterCrop', crop_size=8),
    dict(type='PackInputs')
]
DATASET = dict(
    type='CustomDataset',
    data_root='data',
    data_prefix='val',
    ann_file='meta/val.txt',
    pipeline=STEPS)
TESTING = dict(
    dataloader=dict(
        batch_size=2,
        num_workers=0,
        collate_fn=dict(type='default_collate'),
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=DATASET),
    evaluator=dict(type='Accuracy', topk=[1, 5]))


def changed(dataset=None, evaluator=None, **loader):
    testing = copy.deepcopy(TESTING)
    testing['dataloader'].update(loader)
    testing['dataloader']['dataset'].update(dataset or {})
    if evaluator is not None:
        testing['evaluator'] = evaluator
    return testing


@pytest.mark.parametrize(
    'name',
    ['pss_mbv2_imagenet', 'pss_mbv2_fashion_mnist', 'usnet_mbv1_imagenet'])
def test_configs_can_be_kept(name):
    """Oracle: this project's configs, after a round trip through JSON."""
    config = load_config(ROOT / 'configs' / f'{name}.py')
    config.test_dataloader.pin_memory = True
    testing = json.loads(
        json.dumps(kept_testing(config.test_dataloader, config.test_evaluator)))
    check_testing(testing, 'bank.json')
    assert 'pin_memory' not in testing['dataloader']
    assert testing['dataloader']['dataset']['data_root'] == \
        config.test_dataloader.dataset.data_root
    assert testing['evaluator'] == json.loads(json.dumps(config.test_evaluator))


@pytest.mark.parametrize('testing', [
    {},
    TESTING,
    changed(evaluator=[
        dict(type='mmpretrain.Accuracy'),
        dict(type='AveragePrecision')
    ]),
    changed(
        dict(
            type='mmpretrain.CustomDataset',
            ann_file='',
            metainfo=dict(classes=['a', 'b']))),
    changed(
        dict(pipeline=[
            *STEPS[:2],
            dict(
                type='PackInputs', meta_keys=['img_path', 'gt_label_difficult'])
        ])),
    changed(
        evaluator=dict(type='VOCAveragePrecision', difficult_as_positive=True)),
    changed(evaluator=dict(type='Accuracy', thrs=[0., None])),
])
def test_what_only_computes_is_accepted(testing):
    """Oracle: no error."""
    check_testing(testing, 'bank.json')


@pytest.mark.parametrize('testing, words', [
    (changed(evaluator=dict(type='subprocess.getoutput')),
     "testing.evaluator: type='subprocess.getoutput': expected one of"),
    (changed(evaluator=[dict(
        type='Accuracy'), dict(type='DumpResults')]),
     "evaluator[1]: type='DumpResults'"),
    (changed(evaluator=dict(type='Accuracy', collect_dir='x')),
     "unknown key 'collect_dir'"),
    (changed(evaluator=dict(type='Accuracy', topk=float('nan'))), 'topk=nan'),
    (changed(evaluator=None, collate_fn=dict(type='os.system')),
     "collate_fn: type='os.system'"),
    (changed(collate_fn=dict(type='default_collate', command='x')),
     "unknown key 'command'"),
    (changed(worker_init_fn=dict(type='os.system')), "'worker_init_fn'"),
    (changed(batch_sampler=dict(type='os.system')), 'batch_sampler='),
    (changed(sampler=dict(type='os.system')), "sampler: type='os.system'"),
    (changed(num_workers=10**6), 'num_workers=1000000'),
    (changed(dict(type='CIFAR10')), "type='CIFAR10': expected one of"),
    (changed(dict(type=['CustomDataset'])), "type=['CustomDataset']"),
    (changed(dict(ann_file='a.pkl')), 'expected a path that ends in .txt'),
    (changed(dict(ann_file='a.yaml')), 'expected a path that ends in .txt'),
    (changed(dict(ann_file='http://x/a.txt')), 'not a URL'),
    (changed(dict(data_root='s3://x')), 'not a URL'),
    (changed(dict(data_root='{{ fileDirname }}')), 'or a template'),
    (changed(dict(data_prefix=dict(img_path='a\x1b[2J'))), 'printable'),
    (changed(dict(data_root='a' * 2000)), 'at most 1000 characters'),
    (changed(dict(metainfo='/etc/passwd')), "metainfo='/etc/passwd'"),
    (changed(dict(metainfo=dict(classes='/etc/passwd'))),
     "metainfo.classes='/etc/passwd'"),
    (changed(dict(metainfo=dict(other='/etc/passwd'))), "'other'"),
    (changed(dict(classes='/etc/passwd')), "classes='/etc/passwd'"),
    (changed(dict(download=True)), "unknown key 'download'"),
    (changed(dict(pipeline=[dict(type='os.system', command='x'), STEPS[2]])),
     "pipeline[0]: type='os.system'"),
    (changed(
        dict(pipeline=[
            *STEPS[:2],
            dict(type='PackInputs', meta_keys=['__class__'])
        ])), "'__class__'"),
    (changed(dict(pipeline=None)), 'pipeline=None'),
    (dict(TESTING, more=1), "unknown key 'more'"),
    (dict(dataloader=TESTING['dataloader']), "'evaluator' is missing"),
    ([1], 'testing=[1]: expected an object'),
    (None, 'testing=None: expected an object'),
])
def test_what_does_more_is_refused(testing, words):
    """Oracle: one line that names the field and what was expected."""
    with pytest.raises(InputError) as error:
        check_testing(testing, 'bank.json')
    assert words in str(error.value) and '\n' not in str(error.value)
    assert str(error.value).startswith('bank.json: testing')


@pytest.mark.parametrize('download, words',
                         [({}, "'download' is missing"),
                          (dict(download=True), 'download=True')])
def test_nothing_is_downloaded(download, words):
    """Oracle: mmpretrain's MNIST, which downloads unless told not to."""
    testing = changed()
    testing['dataloader']['dataset'] = dict(
        type='MNIST', data_root='data', pipeline=STEPS[2:], **download)
    with pytest.raises(InputError, match=words):
        check_testing(testing, 'x')
    testing['dataloader']['dataset']['download'] = False
    check_testing(testing, 'x')


def test_splits_are_around_one_data_set():
    """Oracle: the dataset in a split is checked, too; a split of a split, which
    no config needs and a file may nest a thousandfold, is refused."""
    split = dict(type='pss.HeldOutSplit', every=5, held_out=True)
    testing = changed()
    testing['dataloader']['dataset'] = dict(split, dataset=DATASET)
    check_testing(testing, 'x')
    testing['dataloader']['dataset'] = dict(
        split, dataset=dict(DATASET, ann_file='a.pkl'))
    with pytest.raises(InputError, match=r'HeldOutSplit\).dataset.*a\.pkl'):
        check_testing(testing, 'x')
    testing['dataloader']['dataset'] = dict(
        split, dataset=dict(split, dataset=DATASET))
    with pytest.raises(InputError, match="type='pss.HeldOutSplit'"):
        check_testing(testing, 'x')


def test_a_part_of_a_folder():
    """Oracle: the arguments of pss.FolderDataset, by their types; part and
    folder are needed."""
    folder = dict(
        type='pss.FolderDataset',
        data_root='data',
        part='test',
        held_out=0.1,
        test=0.1,
        seed=0,
        skipped=['a/1.png'],
        digest='0123456789abcdef',
        pipeline=STEPS)
    testing = changed()
    testing['dataloader']['dataset'] = folder
    check_testing(testing, 'x')
    for key, value in (('part', 'all'), ('data_root', 's3://a'), ('test', 2),
                       ('skipped', [1]), ('ann_file', 'a.pkl')):
        testing['dataloader']['dataset'] = dict(folder, **{key: value})
        with pytest.raises(InputError, match=key):
            check_testing(testing, 'x')
    testing['dataloader']['dataset'] = {
        key: folder[key]
        for key in ('type', 'data_root', 'pipeline')
    }
    with pytest.raises(InputError, match='part'):
        check_testing(testing, 'x')


def test_nothing_ran(tmp_path):
    """Oracle: no marker, which MMEngine leaves for these same configs."""
    from mmengine.evaluator import Evaluator
    marker = tmp_path / 'marker'
    evaluator = dict(type='subprocess.getoutput', cmd=f'touch {marker}')
    with pytest.raises(InputError, match='subprocess.getoutput'):
        check_testing(changed(evaluator=evaluator), 'x')

    class Touching:

        def __reduce__(self):
            return open, (str(marker), 'w')

    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(Touching()))
    dataset = dict(
        type='MultiLabelDataset',
        data_root=str(tmp_path),
        ann_file='a.pkl',
        pipeline=STEPS)
    testing = changed()
    testing['dataloader']['dataset'] = dataset
    with pytest.raises(InputError, match=r'a\.pkl'):
        check_testing(testing, 'x')
    assert not marker.exists()
    Evaluator(evaluator)
    assert marker.exists()


def test_trusted_classes():
    """Oracle: a dataset of a trusted package is accepted; its pipeline still
    has to be on the list."""
    from mmpretrain.datasets import CustomDataset
    from mmpretrain.registry import DATASETS

    class Mine(CustomDataset):
        pass

    DATASETS.register_module(name='TestedMine', module=Mine)
    try:
        mine = changed(dict(type='TestedMine', anything=[1]))
        with pytest.raises(InputError, match="type='TestedMine'"):
            check_testing(mine, 'x')
        package = Mine.__module__.partition('.')[0]
        check_testing(mine, 'x', [package])
        mine['dataloader']['dataset']['pipeline'] = [dict(type='os.system')]
        with pytest.raises(InputError, match="type='os.system'"):
            check_testing(mine, 'x', [package])
    finally:
        DATASETS.module_dict.pop('TestedMine')


def test_detectors_need_mmdet(monkeypatch):
    """Oracle: one line where MMDetection is not installed."""
    monkeypatch.setattr(detectors, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match='needs MMDetection'):
        check_testing(changed(dict(type='mmdet.CocoDataset')), 'x')
