import json
import sys

import torch

from pss.apis import init_model, load_config

from ...paths import ROOT


def test_extract_subnet(call, tmp_path):
    """Oracle: the supernet's logits at the subnet; the config that is written
    builds what the checkpoint holds."""
    from mmengine.config import Config

    from pss.registry import MODELS
    config = ROOT / 'configs' / 'pss_mbv2_fashion_mnist.py'
    model = init_model(config)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    subnet = model.search_space.smallest
    (tmp_path / 's.json').write_text(json.dumps(subnet.as_dict()))
    code, out = call('model_converters/extract_subnet.py', config,
                     tmp_path / 'a.pth', '--subnet', tmp_path / 's.json',
                     '--out', tmp_path / 'small.pth')
    assert code == 0, out
    sys.path.insert(0, str(tmp_path))
    plain = MODELS.build(Config.fromfile(tmp_path / 'small.py').model).eval()
    state = torch.load(tmp_path / 'small.pth', weights_only=True)
    plain.load_state_dict(state['state_dict'], strict=True)
    x = torch.randn(2, 3, 28, 28)
    model.switch_to(subnet)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), model(x), atol=1e-5, rtol=1e-5)
    code, out = call('model_converters/extract_subnet.py', config,
                     tmp_path / 'a.pth', '--subnet', tmp_path / 's.json',
                     '--out', tmp_path / 'small.txt')
    assert code == 2 and 'expected a name ending in .pth' in out
    before = {path: path.read_bytes() for path in tmp_path.glob('*.p*')}
    for name, source in (('a.pth', config), ('small.pth',
                                             tmp_path / 'small.py')):
        code, out = call('model_converters/extract_subnet.py', source,
                         tmp_path / 'a.pth', '--subnet', tmp_path / 's.json',
                         '--out', tmp_path / name)
        assert code == 2 and 'would overwrite' in out
    assert {path: path.read_bytes() for path in tmp_path.glob('*.p*')} == before


def test_of_images_that_the_supernet_enlarges(call, tmp_path):
    """Oracle: the supernet's logits for smaller images, at its largest subnet.
    """
    config = load_config(ROOT / 'configs' / 'pss_additive_r50_fashion_mnist.py')
    model = init_model(config)
    largest = model.search_space.largest
    assert largest.resolution == 48
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    (tmp_path / 's.json').write_text(json.dumps(largest.as_dict()))
    code, out = call('model_converters/extract_subnet.py', config.filename,
                     tmp_path / 'a.pth', '--subnet', tmp_path / 's.json',
                     '--out', tmp_path / 'l.pth', '--image-size', 28)
    assert code == 0, out
    plain = init_model(tmp_path / 'l.py', tmp_path / 'l.pth').eval()
    x = torch.randn(2, 3, 28, 28)
    model.switch_to(largest)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), model(x), atol=1e-5, rtol=1e-5)
    code, out = call('model_converters/extract_subnet.py', config.filename,
                     tmp_path / 'a.pth', '--subnet', tmp_path / 's.json',
                     '--out', tmp_path / 'm.pth', '--image-size', 0)
    assert code == 2 and '--image-size=0: expected' in out
