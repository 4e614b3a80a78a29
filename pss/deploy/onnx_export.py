"""Networks as ONNX."""

import contextlib
import inspect
import io
import warnings
from typing import Any, BinaryIO, Union

import torch
from torch import Tensor, nn

from ..errors import InputError


def check_onnx(what: str) -> None:
    """Refuses ``what`` where the packages for it are missing.

    Raises:
        InputError: it names the package.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise InputError(f'{what} needs {error.name}: pip install onnx '
                         'onnxruntime') from None


def export_onnx(network: nn.Module, images: Tensor, out: Union[str, BinaryIO],
                **options: Any) -> None:
    """Writes a network as ONNX, its input ``images`` and its output ``logits``.

    Args:
        network: in evaluation mode.
        images: an input, to trace it with.
        out: where to.
        **options: as for ``torch.onnx.export``.
    """
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        options['dynamo'] = False  # torch 2.5 and newer; needs no more packages
    with warnings.catch_warnings(), torch.no_grad(), \
            contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')  # shapes that are constants here
        torch.onnx.export(network, (images, ), out, input_names=['images'],
                          output_names=['logits'], opset_version=17, **options)
