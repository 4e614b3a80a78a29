"""How fast images are loaded."""

import json

import numpy as np
import torch


def test_table(run_script, tmp_path):
    """Oracle: the medians of the rates that are in the file."""
    out = run_script('loading', '--images', 3, '--rounds', 3, '--out',
                     tmp_path / 'a.json')
    found = json.loads((tmp_path / 'a.json').read_text())
    assert set(found['rates']) == {'ours', 'mmpretrain', 'torchvision'}
    for name, rates in found['rates'].items():
        assert len(rates) == 3 and min(rates) > 0
        assert found['medians'][name] == np.median(rates)
    assert 100 < found['kb'] < 120 and f'{found["kb"]:.0f} kB' in out


def test_pipelines_agree(script, tmp_path):
    """Oracle: mean and spread of the pixels over many draws of one image are
    those of torchvision's pipeline, after normalisation."""
    loading = script('loading')
    path = tmp_path / 'a.JPEG'
    loading.write_image(path, 0)
    from mmpretrain.registry import MODELS
    compared = loading.pipelines()
    found = {}
    np.random.seed(0)
    torch.manual_seed(0)
    for name, pipeline in compared.items():
        kind = 'pss.AugmentingPreprocessor' if name == 'ours' else \
            'mmpretrain.ClsDataPreprocessor'
        preprocess = MODELS.build(
            dict(
                type=kind,
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                to_rgb=True))
        pixels = []
        for _ in range(60):
            packed = pipeline(str(path))
            if name != 'torchvision':
                packed = preprocess(
                    dict(
                        inputs=packed['inputs'][None],
                        data_samples=[packed['data_samples']]))['inputs'][0]
            pixels.append([packed.mean((1, 2)), packed.std((1, 2))])
        found[name] = np.array([[m.numpy(), s.numpy()] for m, s in pixels])
    for name in ('ours', 'mmpretrain'):
        gap = found[name].mean(0) - found['torchvision'].mean(0)
        error = np.sqrt((found[name].var(0) + found['torchvision'].var(0)) / 60)
        assert (np.abs(gap) < 4 * error + 0.02).all(), (name, gap, error)
