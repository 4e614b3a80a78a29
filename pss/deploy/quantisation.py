"""Quantising ONNX models with ONNX Runtime's own tools."""

import logging
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence

import numpy as np

from ..errors import InputError, first_line


def quantise(model: Any, batches: Sequence[np.ndarray]) -> Any:
    """A model in int8: weights by output channel, symmetric; activations in
    uint8, with ranges from some images.

    Args:
        model: the ONNX model; left unchanged.
        batches: preprocessed images ``(N, C, H, W)``, to calibrate with.

    Raises:
        InputError: if the installed version of ONNX Runtime cannot do it.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        """The images, one batch after the other."""

        def __init__(self) -> None:
            self._batches = iter(batches)

        def get_next(self) -> Optional[Dict[str, np.ndarray]]:
            batch = next(self._batches, None)
            return None if batch is None else dict(images=batch)

    with tempfile.TemporaryDirectory() as folder, _quiet():
        # versions before 1.17 take only files
        before, after = (
            Path(folder, f'{name}.onnx') for name in ('before', 'after'))
        onnx.save_model(model, str(before))
        try:
            quantize_static(
                str(before),
                str(after),
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8)
        except Exception as error:  # it has its own types
            raise InputError(f'ONNX Runtime cannot quantise the network '
                             f'({first_line(error)})') from error
        return onnx.load_model(str(after))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the quantiser from advising what is done already."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
