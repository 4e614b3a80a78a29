import numpy as np
import pytest
from mmengine.config import Config

from pss.deploy.config_writing import write_config
from pss.errors import InputError

MODEL = dict(type='mmpretrain.ImageClassifier', backbone=dict(type='ResNet'))


@pytest.mark.parametrize(
    'model', [
        dict(
            MODEL,
            texts=[
                'a\'b"c', 'a\nb\\', '\x1b', '\ud800', 'é😀', '{ {', '{', "'''",
                '$HOME', '', 'dict(a=1)', '# noqa'
            ]),
        dict(MODEL, numbers=[1, -1, 1.5, -0.1, 1e-300, 2**80, True, None]),
        dict(MODEL, nested=[dict(a=(1, (2, ), [])), (dict(b={}), ), [[1], ()]]),
        dict(MODEL, detector='mmdet.RetinaNet', filename='x', text='y'),
    ],
    ids=['texts', 'numbers', 'nested', 'detector'])
def test_configs_say_what_was_meant(tmp_path, model):
    """Oracle: the model's config, as MMEngine reads it from the file."""
    testing = dict(
        dataloader=dict(batch_size=2),
        evaluator=[dict(type='pss.SubnetAccuracy', topk=[1, 5], prefix='x')])
    write_config(model, tmp_path / 'a.py', testing)
    found = Config.fromfile(tmp_path / 'a.py').to_dict()
    assert found['model'] == model
    assert found['test_dataloader'] == dict(batch_size=2)
    assert found['test_evaluator'] == [
        dict(type='Accuracy', topk=(1, 5), thrs=None, prefix='x')
    ]
    assert found['default_scope'] == \
        ('mmdet' if 'detector' in model else 'mmpretrain')


class Touching:
    """Its repr is code that leaves a marker."""

    def __init__(self, marker):
        self.marker = marker

    def __repr__(self):
        return f'open({str(self.marker)!r}, "w").name'


@pytest.mark.parametrize('value, words', [
    ('{{$PSS_TEST:x}}', 'expected a text without {{ and }}'),
    ('{{ fileDirname }}', 'expected a text without {{ and }}'),
    ('}}', 'expected a text without {{ and }}'),
    (Touching, 'found Touching'),
    (np.float64(1), 'found float64'),
    (b'x', 'found bytes'),
    ({1}, 'found set'),
    (print, 'found builtin'),
    (float('nan'), 'backbone.x[0]=nan: expected a finite number'),
    (float('inf'), 'x[0]=inf: expected a finite number'),
    (10**400, 'expected a finite number'),
    ({
        'a b': 1
    }, "backbone.x[0]: key 'a b': expected a name"),
    ({
        'class': 1
    }, "key 'class'"),
    ({
        '': 1
    }, "key ''"),
    ({
        1: 1
    }, 'key 1'),
    ({
        '\ufb01': 1
    }, 'key'),
    ({
        'a=1)\nb(c': 1
    }, 'key'),
])
def test_configs_hold_data(tmp_path, monkeypatch, value, words):
    """Oracle: one line that names the field, and no marker, which expanding
    the template would leave."""
    marker = tmp_path / 'marker'
    monkeypatch.setenv('PSS_TEST', f"' + open('{marker}', 'w').name + '")
    if value is Touching:
        value = Touching(marker)
    model = dict(MODEL, backbone=dict(x=[value]))
    with pytest.raises(InputError) as error:
        write_config(model, tmp_path / 'a.py')
    assert words in str(error.value) and '\n' not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_templates_run_code(tmp_path, monkeypatch):
    """Oracle: the marker that MMEngine leaves: the control for the test
    above."""
    marker = tmp_path / 'marker'
    monkeypatch.setenv('PSS_TEST', f"' + open('{marker}', 'w').name + '")
    (tmp_path / 'a.py').write_text("x = '{{$PSS_TEST:x}}'")
    Config.fromfile(tmp_path / 'a.py')
    assert marker.exists()


@pytest.mark.parametrize('text, words', [
    ('model = TOUCH', 'more than data'),
    ('import os', 'more than data'),
    ('model = dict(TOUCH)', 'more than data'),
    ('model = dict(**TOUCH)', 'more than data'),
    ('model = [TOUCH for i in (1, )]', 'more than data'),
    ('model: TOUCH = 1', 'more than data'),
    ("model = f'{TOUCH}'", 'more than data'),
    ('model = lambda: 1', 'more than data'),
    ('model = dict(', 'more than data'),
    ('model = 1\nmodel = 2', 'more than data'),
    ("model = dict(type='mmpretrain.Other')", 'differs'),
    ("model = dict(type='mmpretrain.ImageClassifier', x=True)", 'differs'),
])
def test_texts_are_checked_before_they_are_run(tmp_path, monkeypatch, text,
                                               words):
    """Oracle: an error and no marker where the formatter writes a program."""
    text = text.replace('TOUCH', repr(Touching(tmp_path / 'marker')))
    monkeypatch.setattr(Config, 'pretty_text', text)
    with pytest.raises(InputError, match=words):
        write_config(
            dict(type='mmpretrain.ImageClassifier', x=1), tmp_path / 'a.py')
    assert not list(tmp_path.iterdir())
