"""The lists for testing exported detectors."""

import copy
import json

import pytest

from pss.apis import load_config
from pss.deploy.vocabularies import check_testing
from pss.deploy.vocabularies.stripping import kept_testing
from pss.errors import InputError

from ..paths import ROOT

NAMES = [
    'retinanet_mbv2_fashion_mnist', 'faster-rcnn_r50_fpn_coco',
    'ssdlite_mbv2_coco'
]


def kept(name):
    config = load_config(ROOT / 'configs' / 'detection' / f'{name}_adaptive.py')
    return json.loads(
        json.dumps(kept_testing(config.test_dataloader, config.test_evaluator)))


@pytest.mark.parametrize('name', NAMES)
def test_configs_can_be_kept(name):
    """Oracle: this project's configs; a split of their data set."""
    testing = kept(name)
    check_testing(testing, 'bank.json')
    loader = testing['dataloader']
    assert loader['dataset']['ann_file'].endswith('.json')
    loader['dataset'] = dict(
        type='pss.HeldOutSplit',
        every=5,
        held_out=True,
        dataset=loader['dataset'])
    check_testing(testing, 'bank.json')


@pytest.mark.parametrize('dataset, evaluator, words', [
    (dict(proposal_file='a.pkl'), {}, "unknown key 'proposal_file'"),
    (dict(ann_file='a.pkl'), {}, 'expected a path that ends in .json'),
    (dict(backend_args=dict(backend='http')), {}, 'backend_args='),
    (dict(metainfo=dict(classes='/etc/passwd')), {}, 'metainfo.classes='),
    (dict(pipeline=[dict(type='os.system')] * 2), {}, "type='os.system'"),
    ({}, dict(outfile_prefix='x'), "outfile_prefix='x'"),
    ({}, dict(format_only=True), 'format_only=True'),
    ({}, dict(ann_file='http://x/a.json'), 'not a URL'),
    ({}, dict(type='subprocess.getoutput'), "type='subprocess.getoutput'"),
])
def test_what_does_more_is_refused(dataset, evaluator, words):
    """Oracle: one line that names the field."""
    testing = copy.deepcopy(kept(NAMES[0]))
    testing['dataloader']['dataset'].update(dataset)
    testing['evaluator'].update(evaluator)
    with pytest.raises(InputError) as error:
        check_testing(testing, 'bank.json')
    assert words in str(error.value) and '\n' not in str(error.value)
