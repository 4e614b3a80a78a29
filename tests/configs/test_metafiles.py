"""What OpenMMLab's tools are told about the configs."""

import json

import pytest
import yaml

from pss.apis import load_config

from ..paths import ROOT

INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())
METAFILES = {
    name: yaml.safe_load((ROOT / name).read_text())
    for name in INDEX['Import']
}
MODELS = [
    model for metafile in METAFILES.values() for model in metafile['Models']
]
CONFIGS = [
    path for path in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in path.parts
]
# published results by the config of the same method and network
PUBLISHED = {
    path.stem.replace('pssnet', 'pss'): json.loads(path.read_text())
    for path in (ROOT / 'benchmarks/results/published').glob('*.json')
}


def test_index():
    """Oracle: the metafiles that there are."""
    assert sorted(INDEX['Import']) == sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'configs').rglob('*.yml'))


def test_every_config():
    """Oracle: the files of configs: each is in one metafile, once, under its
    base name, and nothing else is."""
    assert sorted(model['Config'] for model in MODELS) == sorted(
        path.relative_to(ROOT).as_posix() for path in CONFIGS)
    for model in MODELS:
        assert model['Name'] == (ROOT / model['Config']).stem


@pytest.mark.parametrize('name', METAFILES)
def test_collections(name):
    """Oracle: each metafile has one collection, of all its models, and a page
    about it."""
    collection, = METAFILES[name]['Collections']
    assert (ROOT / collection['README']).is_file()
    assert {model['In Collection']
            for model in METAFILES[name]['Models']} == {collection['Name']}


def test_results():
    """Oracle: benchmarks/results/published; no other accuracies, and no
    weights, since none are published."""
    results = {
        model['Name']: model['Results']
        for model in MODELS if 'Results' in model
    }
    assert results == {
        name: [
            dict(
                Task='Image Classification',
                Dataset='ImageNet-1k',
                Metrics={
                    f'Top 1 Of The {end.title()} Subnet In The Paper':
                    published[end]['top1']
                    for end in ('largest', 'smallest')
                })
        ]
        for name, published in PUBLISHED.items()
    }
    assert not any('Weights' in model for model in MODELS)


@pytest.mark.parametrize(
    'model', [m for m in MODELS if 'Epochs' in m['Metadata']],
    ids=lambda m: m['Name'])
def test_metadata(model):
    """Oracle: the config's own fields."""
    config = load_config(ROOT / model['Config'])
    assert model['Metadata']['Epochs'] == config.train_cfg.max_epochs
    batch_size = config.auto_scale_lr.base_batch_size
    assert model['Metadata']['Batch Size'] == batch_size


def test_model_hub():
    """Oracle: mmpretrain's own reader of such an index."""
    from mmpretrain.apis import ModelHub
    ModelHub.register_model_index(ROOT / 'model-index.yml', config_prefix=ROOT)
    found = ModelHub.get('pss_mbv2_imagenet').config
    own = load_config(ROOT / 'configs/pss_mbv2_imagenet.py')
    assert found.to_dict() == own.to_dict()


def test_datasets():
    """Oracle: the fields that `mim download --dataset` reads, and the folder
    where the configs look for the data."""
    index = yaml.safe_load((ROOT / 'dataset-index.yml').read_text())
    assert {
        name: entry['data_root']
        for name, entry in index.items()
    } == dict(
        imagenet1k='data/imagenet', coco2017='data/coco')
    for entry in index.values():
        assert set(entry) == {'dataset', 'download_root', 'data_root'}
    config = load_config(ROOT / 'configs/pss_mbv2_imagenet.py')
    assert index['imagenet1k']['data_root'] in str(
        config.train_dataloader.dataset)
