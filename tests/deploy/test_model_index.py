import json

import pytest

from pss.deploy import model_index
from pss.deploy.exporter import check_export
from pss.deploy.model_index import write_model_index
from pss.errors import InputError

from .conftest import record_of


def foreign(to, **changes):
    """A function that writes a changed record to a folder."""

    def put(folder):
        record = {**record_of(folder / 'smallest.pth'), **changes}
        (folder / to).write_text(json.dumps(record))

    return put


@pytest.mark.parametrize('put, words', [
    (lambda f: (f / 'a.pth.json').mkdir(), 'expected the record'),
    (lambda f: (f / 'a.pth.json').write_text('{'), 'not a JSON file'),
    (lambda f: (f / 'a.pth.json').write_bytes(b'\xff'), 'not a JSON file'),
    (lambda f: (f / 'a.pth.json').write_text('[' * 99999), 'not a JSON file'),
    (lambda f: (f / 'a.pth.json').write_text('[1]'), 'record of a.pth'),
    (lambda f: (f / 'a.pth.json').write_text('{"file": 1}'), 'record of a.pth'),
    (lambda f: (f / 'a.pth.json').symlink_to('nowhere'), 'expected the record'),
    (lambda f:
     (f / 'a.pth.json').symlink_to('smallest.pth.json'), 'expected the record'),
    (lambda f: (f / 'a b\x1b.pth.json').write_text('{}'), r'b\x1b.pth.json'),
    (foreign('a.pth.json'), 'record of a.pth'),
    (foreign('a.pth.json', file='a.pth'), 'a.py is missing'),
    (foreign('a.pth.json', file='a.pth', metric='a\x1b'), 'metric='),
    (foreign('a.pth.json', file='a.pth', metric=None), 'metric=None'),
    (foreign('a.pth.json', file='a.pth', test_accuracy=float('nan')),
     'test_accuracy=nan: expected a finite number'),
    (foreign('a.pth.json', file='a.pth', test_accuracy='9'), 'test_accuracy'),
    (foreign('a.pth.json', file='a.pth', subnet=[]), 'a.pth.json'),
    (foreign('a.pth.json', file='a.pth', name=3), 'name=3'),
])
def test_foreign_files_are_no_models(tmp_path, exporter, monkeypatch, put,
                                     words):
    """Oracle: the index does not have them, and a line names each."""
    exporter.export(exporter.bank.kept[0], 'torch', tmp_path)
    wanted = write_model_index(tmp_path).read_text()
    assert [model['Name'] for model in json.loads(wanted)['Models']] == \
        ['pss_smallest']
    put(tmp_path)
    lines = []
    monkeypatch.setattr(model_index, 'print_log',
                        lambda line, *_: lines.append(line))
    assert write_model_index(tmp_path).read_text() == wanted
    assert len(lines) == 1 and words in lines[0] and lines[0].isprintable()


@pytest.mark.parametrize('text', [
    'Models:\n- Name: mine', '{}', '[]', '{"Collections": 1}',
    '{"Collections": [{"Name": "Others"}], "Models": []}', None
])
def test_an_index_of_others_stays(tmp_path, bank, text):
    """Oracle: the file is unchanged; the error comes before anything is
    exported."""
    index = tmp_path / 'model-index.yml'
    index.mkdir() if text is None else index.write_text(text)
    for refused in (lambda: write_model_index(tmp_path),
                    lambda: check_export(tmp_path, bank, 'torch')):
        with pytest.raises(InputError, match='not written by this command'):
            refused()
    check_export(tmp_path, bank, 'onnx')
    assert text is None or index.read_text() == text
