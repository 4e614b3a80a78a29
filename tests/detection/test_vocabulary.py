"""What banks of detectors may say."""

import copy
import json
import sys
from pathlib import Path

import pytest

from .conftest import CONFIGS, adaptive_config

PATHS = sorted(CONFIGS.glob('*_adaptive.py'))
STEPS = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=[96, 96], keep_ratio=True),
    dict(type='PackDetInputs')
]


def kept(path=CONFIGS / 'retinanet_mbv2_fashion_mnist_adaptive.py'):
    """A config's model as a bank keeps it."""
    from pss.apis import load_config
    from pss.deploy.bank_hook import kept_config
    return kept_config(load_config(path))


def changed(config, path, value):
    """A copy with another value at a path; keys may be new."""
    config = copy.deepcopy(config)
    *way, last = path.split('.')
    part = config
    for key in way:
        part = part[int(key) if key.isdigit() else key]
    part[int(last) if last.isdigit() else last] = value
    return config


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """The name of a module that leaves a file where it is imported."""
    file = tmp_path / 'imported'
    (tmp_path / 'hostile_part.py').write_text(
        f'open({str(file)!r}, "w").close()\n'
        'class Part:\n'
        '    def __init__(self, **kwargs): pass\n')
    monkeypatch.syspath_prepend(tmp_path)
    yield file
    sys.modules.pop('hostile_part', None)


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_shipped_config(path):
    """Oracle: the model and the steps that its bank would keep are on the
    lists, also as JSON gives them back, and the detector is built of them
    with nothing imported by name."""
    from mmengine.registry import DefaultScope

    from pss.apis import load_config
    from pss.deploy.bank_hook import _pipeline
    from pss.deploy.vocabularies.detectors import (
        check_detector,
        check_detector_pipeline,
    )
    from pss.deploy.vocabularies.stripping import detector_steps
    from pss.registry import MODELS, importing_nothing
    model = json.loads(json.dumps(kept(path)))
    steps = detector_steps(_pipeline(load_config(path)))
    check_detector(model, 'here')
    check_detector_pipeline(steps, 'here')
    assert [step['type'] for step in steps
            ] == ['LoadImageFromFile', 'Resize', 'PackDetInputs']
    with DefaultScope.overwrite_default_scope('mmdet'), importing_nothing():
        MODELS.build(model)


@pytest.mark.parametrize('base', [
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco',
    'fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco',
    'atss/atss_r50_fpn_1x_coco', 'gfl/gfl_r50_fpn_1x_coco',
    'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco',
    'faster_rcnn/faster-rcnn_r50_fpn_soft-nms_1x_coco',
    'faster_rcnn/faster-rcnn_r50_fpn_giou_1x_coco',
    'retinanet/retinanet_r50_fpn_1x_coco'
])
def test_mmdets_own_config(base):
    """Oracle: mmdet's config with a backbone of ours is on the lists."""
    import mmdet
    from mmengine.config import Config

    from pss.deploy.bank_hook import kept_config
    from pss.deploy.vocabularies.detectors import check_detector
    config = Config.fromfile(
        Path(mmdet.__file__).parent / '.mim' / 'configs' / f'{base}.py')
    model = config.model
    model.detector, model.type = model.type, 'pss.SupernetDetector'
    model.input_size = (800, 1333)
    model.backbone = adaptive_config().model.backbone
    check_detector(kept_config(config), 'here')


def test_lists_name_what_there_is():
    """Oracle: every class on the lists is one that its registry has, defined
    in an OpenMMLab package, PyTorch or here, and takes the keys listed; layers
    take those of all layers of their kind."""
    from mmengine.registry import DefaultScope

    from pss.deploy.vocabularies import detector_parts, detectors
    from pss.registry import importing_nothing, parameters
    detectors.import_mmdet('here')
    from mmdet import registry
    families = {
        name: value
        for name, value in {
            **vars(detector_parts),
            **vars(detectors)
        }.items() if isinstance(value, detector_parts.Listed)
    }
    assert len(families) == 16
    for name, family in families.items():
        for kind, entry in family.entries.items():
            with DefaultScope.overwrite_default_scope('mmdet'), \
                    importing_nothing():
                found = getattr(registry, family.registry).get(kind)
            assert found is not None, (name, kind)
            assert found.__module__.split('.')[0] in ('mmdet', 'mmcv',
                                                      'mmengine', 'torch',
                                                      'pss'), (name, kind)
            if name != '_NORMS':
                keys = set(entry.keys) - (
                    set(detectors.OWN_KEYS) if name == 'DETECTORS' else set())
                assert keys <= parameters(found), (name, kind)
            assert set(entry.required) <= set(entry.keys), (name, kind)


HOSTILE = 'hostile_part.Part'
EVALUATED = '__import__("hostile_part").Part'


@pytest.mark.parametrize('path, value, message', [
    ('type', HOSTILE, r'model\.type='),
    ('type', 'pss.ResizedDetector', r'model\.type=.*pss.SupernetDetector'),
    ('detector', HOSTILE, r'model\.detector: type='),
    ('detector', 'os.system', r'model\.detector: type='),
    ('detector', 'mmdet.KnowledgeDistillationSingleStageDetector',
     r'model\.detector: type='),
    ('detector', 'mmdet.mmdet.RetinaNet', r'model\.detector: type='),
    ('detector', None, r'model\.detector='),
    ('detector', dict(type=HOSTILE), r'model\.detector='),
    ('backbone.type', HOSTILE, 'backbone: type='),
    ('backbone.type', 'mmdet.ResNet', 'backbone: type='),
    ('backbone.type', 'mmpretrain.TIMMBackbone', 'backbone: type='),
    ('backbone.norm_cfg', dict(type=HOSTILE), 'norm_cfg: type='),
    ('neck.type', HOSTILE, 'neck: type='),
    ('neck.type', [HOSTILE], 'neck: type='),
    ('neck', [dict(type=HOSTILE)], 'neck='),
    ('neck.conv_cfg', dict(type=HOSTILE), 'conv_cfg: type='),
    ('neck.act_cfg', dict(type=HOSTILE), 'act_cfg: type='),
    ('neck.upsample_cfg', dict(mode='nearest', type=HOSTILE), "'type'"),
    ('bbox_head.type', HOSTILE, 'bbox_head: type='),
    ('bbox_head.loss_cls.type', HOSTILE, 'loss_cls: type='),
    ('bbox_head.loss_bbox', HOSTILE, 'loss_bbox='),
    ('bbox_head.anchor_generator.type', HOSTILE, 'anchor_generator: type='),
    ('bbox_head.bbox_coder.type', HOSTILE, 'bbox_coder: type='),
    ('test_cfg.nms.type', EVALUATED, r'nms\.type='),
    ('test_cfg.nms.type', HOSTILE, r'nms\.type='),
    ('test_cfg.nms.type', 'mmdet.nms', r'nms\.type='),
    ('test_cfg.nms', EVALUATED, 'nms='),
    ('data_preprocessor.type', HOSTILE, 'data_preprocessor: type='),
    ('data_preprocessor.batch_augments', [dict(type=HOSTILE)
                                          ], 'batch_augments='),
    ('train_cfg', dict(assigner=dict(type=HOSTILE)), "'train_cfg'"),
    ('bbox_head.train_cfg', dict(assigner=dict(type=HOSTILE)), "'train_cfg'"),
    ('init_cfg', dict(type='Pretrained', checkpoint='http://x'), "'init_cfg'"),
    ('backbone.init_cfg', dict(type='Pretrained',
                               checkpoint='/x'), "'init_cfg'"),
    ('neck.init_cfg', dict(type=HOSTILE), "'init_cfg'"),
    ('backbone.pretrained', 'http://x', "'pretrained'"),
    ('backbone.subnet', dict(), "'subnet'"),
    ('_scope_', 'hostile_part', "'_scope_'"),
    ('neck._scope_', 'hostile_part', "'_scope_'"),
])
def test_hostile_model(marker, path, value, message):
    """Oracle: the message names the field, and nothing was imported."""
    from pss.deploy.vocabularies.detectors import check_detector
    from pss.errors import InputError
    with pytest.raises(InputError, match=message) as caught:
        check_detector(changed(kept(), path, value), 'here')
    assert str(caught.value).startswith('here: model')
    assert '\n' not in str(caught.value)
    assert not marker.exists() and 'hostile_part' not in sys.modules


@pytest.mark.parametrize('path, value, message', [
    ('roi_head.bbox_roi_extractor.roi_layer.type', HOSTILE, r'roi_layer\.type'),
    ('roi_head.bbox_roi_extractor.roi_layer.type', 'nms', r'roi_layer\.type'),
    ('roi_head.bbox_roi_extractor.roi_layer.use_torchvision', True,
     'use_torchvision=True'),
    ('roi_head.bbox_roi_extractor.type', HOSTILE, 'bbox_roi_extractor: type'),
    ('roi_head.bbox_head', [dict(type=HOSTILE)], 'bbox_head'),
    ('roi_head.bbox_head.cls_predictor_cfg', dict(type=HOSTILE),
     "'cls_predictor_cfg'"),
    ('roi_head.mask_head', dict(type=HOSTILE), "'mask_head'"),
    ('roi_head.shared_head', dict(type=HOSTILE), "'shared_head'"),
    ('rpn_head.type', 'RetinaHead', 'rpn_head: type'),
    ('test_cfg.rpn.nms.type', EVALUATED, r'rpn\.nms\.type'),
    ('test_cfg.rcnn.nms.type', EVALUATED, r'rcnn\.nms\.type'),
    ('test_cfg.rcnn.max_per_img', 'all', r'max_per_img=.all.'),
    ('test_cfg.rcnn', dict(), r"rcnn: key 'score_thr' is missing"),
    ('rpn_head.num_classes', 80, 'num_classes=80'),
])
def test_hostile_second_stage(marker, path, value, message):
    """Oracle: as above."""
    from pss.deploy.vocabularies.detectors import check_detector
    from pss.errors import InputError
    model = kept(CONFIGS / 'faster-rcnn_mbv2_fpn_coco_adaptive.py')
    with pytest.raises(InputError, match=message):
        check_detector(changed(model, path, value), 'here')
    assert not marker.exists()


def test_marker(marker):
    """Oracle: the control: what the tests above refuse would have run."""
    from mmengine.registry import DefaultScope

    from pss.registry import MODELS
    model = changed(kept(), 'bbox_head.loss_cls.type', HOSTILE)
    with DefaultScope.overwrite_default_scope('mmdet'):
        MODELS.build(model)
    assert marker.exists()


@pytest.mark.parametrize('path, value', [
    ('input_size', [96]),
    ('input_size', [96, 0]),
    ('input_size', '96'),
    ('input_size', [96, 10**9]),
    ('distillation', -1),
    ('distillation', float('nan')),
    ('channels_last', 1),
    ('backbone.out_indices', ['4']),
    ('backbone.frozen_stages', 99),
    ('neck.in_channels', [96, '320']),
    ('neck.num_outs', 10**9),
    ('neck.add_extra_convs', 'on_everything'),
    ('neck.out_channels', 64.),
    ('bbox_head.num_classes', 10**9),
    ('bbox_head.num_classes', True),
    ('bbox_head.num_classes', '10'),
    ('bbox_head.stacked_convs', -1),
    ('bbox_head.anchor_generator.scales', [float('nan')]),
    ('bbox_head.anchor_generator.octave_base_scale', float('inf')),
    ('bbox_head.anchor_generator.scales_per_octave', 10**6),
    ('bbox_head.anchor_generator.strides', [8, -16]),
    ('bbox_head.anchor_generator.ratios', [0.]),
    ('bbox_head.bbox_coder.target_stds', [1., 1., 1.]),
    ('bbox_head.bbox_coder.target_stds', [1., 1., 1., 0.]),
    ('bbox_head.loss_cls.gamma', '2'),
    ('bbox_head.loss_cls.reduction', 'max'),
    ('test_cfg.score_thr', float('nan')),
    ('test_cfg.nms_pre', 0.5),
    ('test_cfg.max_per_img', 0),
    ('test_cfg.nms.iou_threshold', 2),
    ('data_preprocessor.std', [0., 1., 1.]),
    ('data_preprocessor.mean', ['0', '0', '0']),
    ('data_preprocessor.pad_size_divisor', 0),
])
def test_wrong_value(path, value):
    """Oracle: the message names the key and says what was expected."""
    from pss.deploy.vocabularies.detectors import check_detector
    from pss.errors import InputError
    key = path.rpartition('.')[2]
    with pytest.raises(InputError, match=f'{key}.*: expected') as caught:
        check_detector(changed(kept(), path, value), 'here')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('path', [
    'detector', 'input_size', 'backbone', 'bbox_head', 'test_cfg',
    'data_preprocessor', 'bbox_head.num_classes', 'test_cfg.nms',
    'bbox_head.anchor_generator.strides', 'neck.in_channels'
])
def test_missing_key(path):
    """Oracle: the message names the key."""
    from pss.deploy.vocabularies.detectors import check_detector
    from pss.errors import InputError
    model = kept()
    *way, last = path.split('.')
    part = model
    for key in way:
        part = part[key]
    del part[last]
    with pytest.raises(InputError, match=last):
        check_detector(model, 'here')


@pytest.mark.parametrize('steps, message', [
    ('x', 'pipeline='),
    ([], 'pipeline='),
    ([STEPS[0]], 'pipeline='),
    (STEPS[1:], 'LoadImageFromFile, at its beginning'),
    ([*STEPS[:2], STEPS[0], STEPS[2]], 'LoadImageFromFile, at its beginning'),
    (STEPS[:2], 'PackDetInputs, at its end'),
    ([*STEPS, STEPS[1]], 'PackDetInputs, at its end'),
    ([*STEPS[:2], dict(type=HOSTILE), STEPS[2]], r'pipeline\[2\]: type='),
    *((([STEPS[0], step, STEPS[2]]), r'pipeline\[1\]: type=') for step in
      (dict(type='Albu', transforms=[dict(type=HOSTILE)]),
       dict(type='LoadProposals', num_max_proposals=1),
       dict(type='TestTimeAug', transforms=[[dict(type=HOSTILE)]]),
       dict(
           type='mmdet.MultiBranch', branch_field=['a'], a=[dict(
               type=HOSTILE)]),
       dict(type='RandomChoice', transforms=[[dict(type=HOSTILE)]]),
       dict(type='LoadImageFromWebcam'), dict(type='LoadEmptyAnnotations'),
       dict(scale=[96, 96]), dict(type=['Resize']))),
    *((changed(STEPS, path, value), message) for path, value, message in (
        ('0.backend_args', dict(backend='petrel', sys_path='/tmp/x'),
         "'backend_args'"),
        ('0.file_client_args', dict(backend='memcached', sys_path='/tmp/x'),
         "'file_client_args'"),
        ('0.imdecode_backend', 'tifffile', 'imdecode_backend='),
        ('0._scope_', 'hostile_part', "'_scope_'"),
        ('1.scale', [96, float('nan')], 'scale'), ('1.scale', '96', 'scale='),
        ('1.scale', [96, 10**9], 'scale'),
        ('1.keep_ratio', 'yes', 'keep_ratio='),
        ('1.interpolation', 'magic', 'interpolation='),
        ('2.meta_keys', ['a b'], 'meta_keys'),
        ('2.meta_keys', 'img_shape', 'meta_keys='),
        ('2.meta_keys', ['img_id'], 'expected ori_shape, img_shape, '
         'scale_factor among them'))),
    ([STEPS[0],
      dict(type='LoadAnnotations', with_mask=True), *STEPS[1:]
      ], 'with_mask=True'),
    ([STEPS[0], dict(type='Pad', pad_val=dict(img=HOSTILE)), STEPS[2]
      ], 'pad_val'),
])
def test_hostile_pipeline(marker, steps, message):
    """Oracle: the message names the step, and nothing was imported."""
    from pss.deploy.vocabularies.detectors import check_detector_pipeline
    from pss.errors import InputError
    with pytest.raises(InputError, match=message) as caught:
        check_detector_pipeline(steps, 'here')
    assert str(caught.value).startswith('here: pipeline')
    assert not marker.exists()


def test_steps_that_are_possible():
    """Oracle: mmdet's own test pipelines with padding and another resize."""
    from pss.deploy.vocabularies.detectors import check_detector_pipeline
    check_detector_pipeline([
        dict(type='LoadImageFromFile', imdecode_backend='pillow'),
        dict(
            type='mmdet.FixScaleResize',
            scale=[640, 640],
            keep_ratio=True,
            backend='pillow',
            interpolation='bicubic'),
        dict(type='Pad', size=[640, 640], pad_val=dict(img=[114., 114., 114.])),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(
            type='PackDetInputs',
            meta_keys=['img_id', 'ori_shape', 'img_shape', 'scale_factor'])
    ], 'here')


def test_trusted_package(tmp_path, monkeypatch):
    """Oracle: a registered head or detector of a package of one's own is
    refused, unless that package is trusted; then parts from the lists may
    stand in it, and others may not."""
    (tmp_path / 'garden_of_heads.py').write_text('''
from mmdet.models import RetinaHead, RetinaNet
from mmdet.registry import MODELS


@MODELS.register_module()
class GardenHead(RetinaHead):
    pass


@MODELS.register_module()
class GardenDetector(RetinaNet):
    pass
''')
    monkeypatch.syspath_prepend(tmp_path)
    from pss.deploy.vocabularies import check_trust
    from pss.deploy.vocabularies.detectors import check_detector
    from pss.errors import InputError
    trust = check_trust(['garden_of_heads'])
    try:
        model = changed(kept(), 'bbox_head.type', 'GardenHead')
        with pytest.raises(InputError, match='bbox_head: type=.GardenHead'):
            check_detector(model, 'here')
        check_detector(model, 'here', trust)
        model = changed(model, 'bbox_head.type', 'mmdet.GardenHead')
        check_detector(model, 'here', trust)
        detector = changed(model, 'detector', 'mmdet.GardenDetector')
        with pytest.raises(InputError, match='detector: type=.mmdet.Garden'):
            check_detector(detector, 'here')
        check_detector(detector, 'here', trust)
        with pytest.raises(InputError, match='nms: type='):
            check_detector(
                changed(detector, 'test_cfg.nms.type', EVALUATED), 'here',
                trust)
        for path, value, message in (('bbox_head.loss_cls.type', HOSTILE,
                                      'loss_cls: type='),
                                     ('bbox_head.loss_cls.gamma', '2',
                                      'gamma='), ('bbox_head.own',
                                                  [dict(type='nms')
                                                   ], 'iou_threshold'),
                                     ('bbox_head.own', [dict(type=EVALUATED)],
                                      r'own\[0\]: type=')):
            with pytest.raises(InputError, match=message):
                check_detector(changed(model, path, value), 'here', trust)
    finally:
        from mmdet.registry import MODELS
        for name in ('GardenHead', 'GardenDetector'):
            MODELS.module_dict.pop(name)
        sys.modules.pop('garden_of_heads')
