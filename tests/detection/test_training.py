"""Short trainings of detectors by the tools."""

import json
import subprocess
import sys

import pytest

from ..paths import ROOT
from .building import adaptive_config, fixed_config, shrink


def run(*command):
    """Runs a tool and returns its output."""
    done = subprocess.run([sys.executable, '-W', 'ignore', *map(str, command)],
                          cwd=ROOT,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def fixed_run(classification_bank, garments, tmp_path_factory):
    """A short training of a fixed detector from a bank: its config, folder
    and output."""
    work = tmp_path_factory.mktemp('fixed')
    folder, _, bank = classification_bank
    subnet = next(k.subnet for k in bank.kept if k.name == 'smallest')
    config = shrink(fixed_config(), garments, work, epochs=12)
    config.model.backbone.subnet = subnet.as_dict()
    config.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint=f'bank://{folder}', prefix='backbone.')
    config.model.neck.in_channels = [72, 240]
    config.param_scheduler[0].end = 10
    # not in work, where the tools write the config that they use
    path = tmp_path_factory.mktemp('config') / 'config.py'
    config.dump(path)
    return path, work, run('tools/train.py', path, '--work-dir', work)


def test_fixed_detector_learns(fixed_run):
    """Oracle: mmdet's CocoMetric on images it has not seen: the garments are
    bright squares here, and 72 iterations find some of them."""
    path, work, _ = fixed_run
    run('tools/test.py', path, work / 'epoch_12.pth', '--work-dir', work,
        '--out', work / 'metrics.json')
    metrics = json.loads((work / 'metrics.json').read_text())
    assert metrics['coco/bbox_mAP_50'] > 0.02, metrics


def test_fixed_detector_resumes(fixed_run):
    """Oracle: it continues after the checkpoint of its last epoch."""
    path, work, _ = fixed_run
    output = run('tools/train.py', path, '--work-dir', work, '--resume',
                 '--cfg-options', 'train_cfg.max_epochs=13',
                 'train_cfg.val_interval=20')
    assert 'Epoch(train) [13]' in output and '[12]' not in output


@pytest.fixture(scope='module')
def adaptive_run(garments, tmp_path_factory):
    """A short training of an adaptive detector: its folder and output."""
    work = tmp_path_factory.mktemp('adaptive')
    config = shrink(adaptive_config(), garments, work, epochs=2)
    # not in work, where the tools write the config that they use
    path = tmp_path_factory.mktemp('config') / 'config.py'
    config.dump(path)
    return path, work, run('tools/train.py', path, '--work-dir', work)


def test_adaptive_detector_ends_with_a_bank(adaptive_run):
    """Oracle: the results have both ends and at least one pool, costs are the
    backbone's at 96 x 96, and the bank keeps the same subnets."""
    from pss.apis import AdaptiveDetector, init_model, load_config
    from pss.models import BackboneAtSize
    from pss.resources import count_macs
    from pss.structures import Subnet
    path, work, output = adaptive_run
    results = json.loads((work / 'results.json').read_text())
    assert results['pools'] and 'bbox_mAP' in results['largest']
    config = load_config(path)
    backbone = BackboneAtSize(init_model(config).backbone, (96, 96))
    for row in (results['largest'], results['smallest'], *results['pools']):
        subnet = Subnet.from_dict(row['subnet'])
        assert row['mflops'] == count_macs(backbone, subnet) / 1e6
        assert row['held_out_bbox_mAP'] >= 0
    net = AdaptiveDetector(work / 'bank')
    assert len(net.subnets) == len(results['pools']) + 2


def test_switching(adaptive_run, garments):
    """Oracle: the supernet at each kept subnet, with the bank's statistics, on
    mmdet's own pipeline; the most accurate that fits is chosen."""
    import cv2
    import torch

    from pss.apis import AdaptiveDetector
    from pss.errors import InputError
    _, work, _ = adaptive_run
    net = AdaptiveDetector(work / 'bank')
    image = garments / 'test' / '00000.png'
    for kept in net.subnets:
        chosen = net.switch(kept.name)
        assert net.active == chosen and chosen.subnet == kept.subnet
        net.model.detector.bbox_head.test_cfg.score_thr = 0.
        [by_path] = net.predict(str(image))
        [by_array] = net.predict([cv2.imread(str(image))])
        assert len(by_path.pred_instances)
        assert torch.equal(by_path.pred_instances.bboxes,
                           by_array.pred_instances.bboxes)
        pixels = torch.from_numpy(cv2.imread(str(image))).permute(2, 0, 1)
        pixels = (pixels[None].float() - 72.94) / 90.02
        net.model.switch_to(kept.subnet, net._statistics[kept.subnet])
        with torch.no_grad():
            [wanted] = net.model(pixels, [by_path.new()], mode='predict')
        torch.testing.assert_close(wanted.pred_instances.bboxes,
                                   by_path.pred_instances.bboxes)
    smallest = net.subnets[0]
    assert net.switch(flops=smallest.costs['flops']).subnet == smallest.subnet
    with pytest.raises(InputError, match='flops'):
        net.switch(flops=1)


def test_extracting_by_the_tool(adaptive_run, tmp_path):
    """Oracle: the tool's own comparison; mmdet's Runner tests what it wrote."""
    path, work, _ = adaptive_run
    results = json.loads((work / 'results.json').read_text())
    subnet = tmp_path / 'subnet.json'
    subnet.write_text(json.dumps(results['smallest']['subnet']))
    output = run('tools/model_converters/extract_subnet.py', path,
                 work / 'epoch_2.pth', '--subnet', subnet, '--calibrate',
                 '--out', tmp_path / 'small.pth')
    difference = float(output.split('random images: ')[1].split()[0])
    assert difference < 1e-4
    from pss.apis import init_model
    model = init_model(tmp_path / 'small.py', tmp_path / 'small.pth')
    assert type(model).__name__ == 'ResizedDetector'
