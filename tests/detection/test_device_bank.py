"""Device banks of detectors: their backbones."""

import numpy as np
import pytest
import torch

from pss.errors import InputError

from .building import adaptive_config, detector_bank


def test_features_equal_the_supernets(tmp_path):
    """Oracle: the switched supernet's backbone, at the subnet's scale."""
    from pss.apis import DeviceExporter
    from pss.models.detectors.scaling import scale_images
    from pss.runtime import AdaptiveSession
    model, bank = detector_bank(adaptive_config())
    exporter = DeviceExporter(bank)
    exporter.export(tmp_path / 'device')
    with pytest.raises(InputError, match='a backbone has no accuracy'):
        exporter.label(10)
    net = AdaptiveSession(tmp_path / 'device')
    assert net.bank.task == 'features'
    images = torch.randn(3, *bank.input_shape)
    for kept in bank.kept:
        model.switch_to(kept.subnet, bank.statistics[kept.subnet])
        net.switch(kept.name)
        with torch.no_grad():
            wanted = model.backbone(scale_images(images, model.scale))
        found = net.outputs(images.numpy())
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted):
            assert one.shape == other.shape
            np.testing.assert_allclose(
                one, other, rtol=0, atol=1e-4 * max(1,
                                                    other.abs().max()))
    blank = np.zeros((24, 24, 3), np.uint8)
    with pytest.raises(InputError, match="task='features'.*outputs"):
        net.predict(blank)
