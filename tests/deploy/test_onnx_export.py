import builtins

import pytest

from pss.deploy.onnx_export import check_onnx, onnx_session
from pss.errors import InputError


def test_versions_that_do_not_work(monkeypatch):
    """Oracle: the package, its version and what was expected."""
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    check_onnx('this')
    with monkeypatch.context() as patch:
        patch.setattr(onnx, '__version__', '1.9.0')
        with pytest.raises(InputError, match='onnx==1.9.0: expected 1.14'):
            check_onnx('this')
    with pytest.raises(
            InputError,
            match='onnxruntime .* cannot run what torch '
            '.* and onnx .* write'):
        onnx_session(b'nothing')
    real = builtins.__import__

    def importing(name, *args, **kwargs):
        if name == 'onnxruntime':
            raise AttributeError('_ARRAY_API not found')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', importing)
    with pytest.raises(InputError, match='cannot be imported .*_ARRAY_API'):
        check_onnx('this')
