"""Exporting networks as ONNX."""

import contextlib
import inspect
import io
import re
import warnings
from typing import Any, BinaryIO, Dict, Sequence, Tuple, Union

import torch
from torch import Tensor, nn

from ..errors import InputError, first_line

# the oldest versions that work
OLDEST = dict(onnx='1.14', onnxruntime='1.16')


def check_onnx(what: str) -> None:
    """Checks that onnx and onnxruntime are installed and work.

    Args:
        what: what needs them, for the message.

    Raises:
        InputError: it names the package.
    """
    try:
        import onnx
        import onnxruntime
    except ModuleNotFoundError as error:
        raise InputError(f'{what} needs {error.name}: pip install onnx '
                         'onnxruntime') from None
    except Exception as error:  # built for another Python or NumPy
        raise InputError(f'{what} needs onnx and onnxruntime, which cannot be '
                         f'imported ({first_line(error)})') from None
    for package in (onnx, onnxruntime):
        name = package.__name__
        version = str(getattr(package, '__version__', None))
        numbers = _numbers(version)
        if numbers < _numbers(OLDEST[name]):
            raise InputError(f'{what}: {name}=={version}: expected '
                             f'{OLDEST[name]} or newer: pip install -U {name}')


def _numbers(version: str) -> Tuple[int, ...]:
    """A version's first two numbers, to compare; empty, the least, if it has
    none."""
    return tuple(map(int, re.findall(r'\d+', version)[:2]))


def export_onnx(network: nn.Module,
                images: Tensor,
                out: BinaryIO,
                outputs: Sequence[str] = ('logits', ),
                **options: Any) -> None:
    """Writes a network as ONNX, its input called ``images``.

    Args:
        network: in evaluation mode.
        images: an input to trace it with.
        out: the file to write to.
        outputs: names of the outputs.
        **options: further arguments of ``torch.onnx.export``.
    """
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        # torch 2.5 and newer; the other exporter needs further packages
        options['dynamo'] = False
    with warnings.catch_warnings(), torch.no_grad(), \
            contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')  # shapes that are constants here
        torch.onnx.export(
            network,
            (images, ),
            out,  # type: ignore[arg-type]  # documented to take file objects
            input_names=['images'],
            output_names=list(outputs),
            opset_version=17,
            **options)


def onnx_bytes(network: nn.Module, images: Tensor, properties: Dict[str, str],
               **options: Any) -> bytes:
    """The ONNX file of a network, checked.

    Args:
        network, images, options: see :func:`export_onnx`.
        properties: texts to keep in the file, by name.

    Raises:
        InputError: if the installed versions cannot make it.
    """
    import onnx
    buffer = io.BytesIO()
    try:
        export_onnx(network, images, buffer, **options)
        model = onnx.load_model_from_string(buffer.getvalue())
        onnx.helper.set_model_props(model, properties)
        onnx.checker.check_model(model)
        return model.SerializeToString()
    except Exception as error:  # each package has its own types
        raise InputError(f'torch {torch.__version__} and onnx '
                         f'{onnx.__version__} cannot write the network as ONNX '
                         f'({first_line(error)})') from error


def onnx_session(content: Union[bytes, str]) -> Any:
    """Loads an ONNX file, its content or its path, into ONNX Runtime, on the
    CPU.

    Raises:
        InputError: if the installed version cannot run it.
    """
    import onnx
    import onnxruntime
    try:
        return onnxruntime.InferenceSession(
            content, providers=['CPUExecutionProvider'])
    except Exception as error:  # it has its own types
        raise InputError(f'onnxruntime {onnxruntime.__version__} cannot run '
                         f'what torch {torch.__version__} and onnx '
                         f'{onnx.__version__} write ({first_line(error)}); '
                         'expected versions that work together') from error
