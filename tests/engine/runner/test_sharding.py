"""Evaluation and calibration in several processes."""

import itertools
import uuid

import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner

from ...distributed import on_ranks


def subnets_of(loop):
    space = loop.model.search_space
    return [
        space.largest, space.smallest,
        space.decode([[1] * len(space.largest.widths) + [1]])[0]
    ]


def watched_loop(config):
    """A test loop, and the images that it loads from now on."""
    config.experiment_name = uuid.uuid4().hex
    loop = Runner.from_cfg(config).test_loop
    loaded = []
    prepare = BaseDataset.prepare_data

    def noted(dataset, index):
        loaded.append(index)
        return prepare(dataset, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDataset, 'prepare_data', noted)
        yield loop, loaded


def evaluated(rank, config):
    """Metrics of three subnets with the same statistics everywhere, and which
    images this process loaded."""
    for loop, loaded in watched_loop(config):
        statistics = {
            subnet: {
                name: (torch.zeros_like(norm.running_mean),
                       torch.ones_like(norm.running_var) * (i + 1))
                for name, norm in loop.model.norms.items()
            }
            for i, subnet in enumerate(subnets_of(loop))
        }
        for subnet, values in statistics.items():
            loop.model.switch_to(subnet)
            _narrow(loop.model, values)
        found = loop.evaluate(
            statistics, loop.dataloader, 'test images', hooks=False)
        return list(found.values()), loaded


def _narrow(model, values):
    """Cuts statistics to the widths of the active subnet's layers."""

    def cut(norm, args, name):
        channels = args[0].shape[1]
        values[name] = tuple(v[:channels].clone() for v in values[name])

    hooks = [
        norm.register_forward_pre_hook(
            lambda norm, args, name=name: cut(norm, args, name))
        for name, norm in model.norms.items()
    ]
    model.eval()
    with torch.no_grad():
        model(torch.zeros(1, 3, 10, 10))
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize('images', [30, 3])
@pytest.mark.parametrize('evaluator', ['pss.SubnetAccuracy', 'Accuracy'])
def test_evaluation_is_sharded_and_exact(tiny_fashion_mnist, tmp_path, images,
                                         evaluator):
    """Oracle: one process with all images. 30 images are 8, 8, 7 and 7, in
    batches of 2; of 3 images the last process gets none. Each is loaded
    once."""
    changes = {
        'evaluating': True,
        'test_dataloader.dataset.indices': images,
        'test_evaluator': dict(type=evaluator, topk=(1, 3))
    }
    (whole, everything), = on_ranks(evaluated, 1, tmp_path / '1',
                                    tiny_fashion_mnist, **changes)
    ranks = on_ranks(evaluated, 4, tmp_path / '4', tiny_fashion_mnist,
                     **changes)
    assert sorted(everything) == list(range(images))
    assert sorted(itertools.chain(*(loaded for _, loaded in ranks))) == \
        sorted(everything)
    assert [len(loaded) for _, loaded in ranks] == \
        ([8, 8, 7, 7] if images == 30 else [1, 1, 1, 0])
    for found, _ in ranks:
        assert found == whole
    assert len({tuple(metrics.items()) for metrics in whole}) > 1


def calibrated(rank, config):
    """Statistics of three subnets, and which images this process loaded."""
    for loop, loaded in watched_loop(config):
        found = loop.calibrate(subnets_of(loop))
        return [list(map(list, values.values()))
                for values in found.values()], loaded


@pytest.mark.parametrize('sync_bn', [None, 'torch'])
def test_calibration_is_sharded(tiny_fashion_mnist, tmp_path, sync_bn):
    """Oracle: the same statistics in every process, from images that no other
    process loads; with synchronised batch norms those of one process with the
    whole batches, in float64."""
    pipeline = [dict(type='PackInputs')]
    changes = {
        'evaluating': True,
        'sync_bn': sync_bn,
        'model.type': 'pss.DoubleSupernet',
        'test_cfg.calibration_dataloader.dataset.dataset.pipeline': pipeline
    }
    ranks = on_ranks(calibrated, 4, tmp_path / '4', tiny_fashion_mnist,
                     **changes)
    one, = on_ranks(calibrated, 1, tmp_path / '1', tiny_fashion_mnist,
                    **changes)
    assert [len(loaded) for _, loaded in ranks] == [4] * 4  # 2 batches of 2
    assert sorted(itertools.chain(*(loaded for _, loaded in ranks))) == \
        sorted(one[1])
    for found, _ in ranks:
        torch.testing.assert_close(found, ranks[0][0], atol=0, rtol=0)
    if sync_bn:
        torch.testing.assert_close(ranks[0][0], one[0], atol=1e-10, rtol=1e-10)
