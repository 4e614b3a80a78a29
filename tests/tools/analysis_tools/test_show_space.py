import json

from ...paths import ROOT


def test_space_of_mobilenet_v2(call, tmp_path):
    """Oracle: SPEC: eight widths; by hand: the layers of the first two."""
    code, out = call('analysis_tools/show_space.py',
                     ROOT / 'configs' / 'pss_mbv2_imagenet.py', '--out',
                     tmp_path / 'space.json')
    assert code == 0, out
    found = json.loads((tmp_path / 'space.json').read_text())
    assert [width['choices'][-1]
            for width in found['widths']] == [32, 16, 24, 32, 64, 96, 160, 320]
    assert found['widths'][0]['layers'] == ['conv1.conv']
    assert found['widths'][1]['layers'] == [
        'layer1.0.conv.1.conv', 'layer2.0.conv.0.conv x 6'
    ]
    assert found['resolutions'] == list(range(128, 225, 8))
    assert 'layer7.0.conv.2.conv' in out
