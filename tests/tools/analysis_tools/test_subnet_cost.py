import json

import pytest

from ..conftest import IMAGENET


def test_subnet_cost(call, tmp_path, reference_costs):
    """Oracle: the published costs, and fvcore's."""
    rows = reference_costs['mobilenet_v2']
    subnets = [{k: row[k] for k in ('resolution', 'widths')} for row in rows]
    source, out = tmp_path / 'subnets.json', tmp_path / 'out.json'
    source.write_text(json.dumps(subnets))
    code, _ = call('analysis_tools/subnet_cost.py', IMAGENET, source, '--out',
                   out)
    assert code == 0
    found = json.loads(out.read_text())
    assert found == [
        dict(s, mflops=row['mflops']) for s, row in zip(subnets, rows)
    ]
    source.write_text(json.dumps(found[:2]))  # it reads what it wrote
    code, text = call('analysis_tools/subnet_cost.py', IMAGENET, source,
                      '--out', out, '--fvcore')
    assert code == 0
    for row in json.loads(out.read_text()):
        assert row['fvcore_mflops'] == row['mflops']
    assert 'largest difference from fvcore: 0 MFLOPs' in text


@pytest.mark.parametrize('subnet, words', [
    (dict(resolution=128, widths=[32]), ['1 entries', '8 widths']),
    (dict(resolution=130, widths=[32] * 8), ['resolution=130', '224']),
    (dict(resolution=128, widths=[32] * 8), ['widths[1]=32', '[16]']),
    (dict(resolution=128, widths=[32] * 8, w=1), ["'w'", 'resolution']),
])
def test_bad_subnets_end_in_one_line(call, tmp_path, subnet, words):
    """Oracle: status 2, one line with the field and what was expected, and no
    file written."""
    source = tmp_path / 'subnets.json'
    source.write_text(json.dumps([subnet]))
    code, out = call('analysis_tools/subnet_cost.py', IMAGENET, source, '--out',
                     tmp_path / 'out.json')
    line = out.strip().splitlines()[-1]
    assert code == 2 and line.startswith('error: ')
    assert all(word in line for word in (str(source), *words))
    assert 'Traceback' not in out
    assert not (tmp_path / 'out.json').exists()
