"""ONNX graphs of subnets over one file of weights.

Each graph begins, for every large weight, with ``Slice`` of the largest
subnet's and ``Mul`` by a factor for each output channel, into which its batch
norm is folded. ONNX Runtime folds both when it loads a graph, so that they cost
nothing when it runs. What a subnet has of its own, factors and biases, is kept
in three bytes a number.

A quantised graph slices integers. Rows of a weight share the step of the
largest subnet's row, which the factor turns into the subnet's own step.
"""

import hashlib
import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from ..errors import InputError
from .onnx_folding import Folded

WEIGHTS = 'weights.bin'
SHARED = 256  # numbers from which a constant goes to the common file
ALIGNED = 64  # bytes that a weight's offset is a multiple of
BITS = 23  # of a number in three bytes, besides its sign
LEVELS = 127  # the largest integer of a quantised weight
# attributes that a convolution need not name
_DEFAULTS: Dict[str, Any] = dict(
    dilations=[1, 1], group=1, pads=[0, 0, 0, 0], strides=[1, 1])


class Block(NamedTuple):
    """A place in the file of weights."""
    offset: int
    shape: Tuple[int, ...]
    dtype: np.dtype


class WeightsFile:
    """The weights that the graphs of a device bank share.

    Args:
        full: the largest subnet's weights, by name.
        half: whether to keep them as float16; graphs compute in float32.
    """

    def __init__(self,
                 full: Mapping[str, np.ndarray],
                 half: bool = False) -> None:
        self._full = full
        self._half = half
        self._blocks: Dict[str, Block] = {}
        self._parts: List[bytes] = []
        self.size = 0

    def place(self, name: str, values: np.ndarray) -> Block:
        """Where a weight stands: that of its name in the largest subnet, if the
        values are its first ones along all axes; else a copy of their own."""
        if self.is_shared(name, values):
            return self._block(name, self._full[name])
        key = f'{values.dtype}{values.shape}'.encode() + values.tobytes()
        return self._block(hashlib.sha256(key).hexdigest(), values)

    def place_integers(self, name: str) -> Tuple[Block, np.ndarray]:
        """Where a weight of the largest subnet stands as integers, and the step
        of each row."""
        full = self._full[name]
        largest = np.abs(full.reshape(len(full), -1)).max(axis=1)
        steps = np.maximum(largest, np.float32(1e-30)) / np.float32(LEVELS)
        codes = np.rint(full / steps.reshape(-1, *(full.ndim - 1) * (1, )))
        return self._block(f'{name} int8', codes.astype(np.int8)), steps

    def is_shared(self, name: str, values: np.ndarray) -> bool:
        """Whether values are the first ones of the largest subnet's."""
        full = self._full.get(name)
        return full is not None and values.ndim == full.ndim and \
            values.dtype == full.dtype and \
            all(a <= b for a, b in zip(values.shape, full.shape)) and \
            np.array_equal(values, full[tuple(map(slice, values.shape))])

    def content(self) -> bytes:
        """The file's bytes."""
        return b''.join(self._parts)

    def _block(self, key: str, values: np.ndarray) -> Block:
        if key not in self._blocks:
            if self._half and values.dtype == np.float32:
                values = values.astype(np.float16)
            self._blocks[key] = Block(self.size, values.shape, values.dtype)
            content = np.ascontiguousarray(values).tobytes()
            self._parts.append(content + bytes(-len(content) % ALIGNED))
            self.size += len(self._parts[-1])
        return self._blocks[key]


def share_weights(folded: Folded,
                  weights: WeightsFile,
                  quantised: Any = None) -> bytes:
    """The graph of a subnet whose weights stand in a common file.

    Args:
        folded: its model, with weights under their names.
        weights: the common file; what it lacks is added to it.
        quantised: the same model after ONNX Runtime's quantisation.

    Returns:
        The graph's file.
    """
    return _Writer(folded, weights, quantised).write()


class _Writer:
    """Writes one graph, with names as short as possible."""

    def __init__(self, folded: Folded, weights: WeightsFile,
                 quantised: Any) -> None:
        import onnx
        self.onnx = onnx
        self.folded = folded
        self.weights = weights
        self.model = quantised or folded.model
        self.graph = self.model.graph
        self.values = {
            tensor.name: onnx.numpy_helper.to_array(tensor)
            for tensor in self.graph.initializer
        }
        self.nodes: List[Any] = []
        self.initialisers: List[Any] = []
        self.names: Dict[str, str] = {}  # of the model's tensors
        self.made: Dict[Any, str] = {}  # of constants and sliced weights
        # vectors by rank: the graph's name of each, and its values
        self.packed: Dict[int, List[Tuple[str, np.ndarray]]] = {1: [], 4: []}
        self.steps: Dict[str, Tuple[str, np.ndarray]] = {}  # of rows
        self.count = 0

    def write(self) -> bytes:
        """The serialised model."""
        helper = self.onnx.helper
        for value in (*self.graph.input, *self.graph.output):
            self.names[value.name] = value.name
        dequantised = {
            node.output[0]: node
            for node in self.graph.node if node.op_type == 'DequantizeLinear'
            and node.input[0] in self.values
        }
        for node in self.graph.node:
            if node.op_type in ('Conv', 'Gemm') and \
                    node.input[1] in dequantised:
                self._add_integers(node, dequantised)
        for node in self.graph.node:
            if node.output[0] not in self.names or \
                    node.output[0] not in dequantised:
                self._add(node, [self._input(name) for name in node.input])
        before = self._unpack()
        graph = helper.make_graph(
            before + self.nodes,
            'subnet', [self._bare(value) for value in self.graph.input],
            [self._bare(value) for value in self.graph.output],
            initializer=self.initialisers)
        model = helper.make_model(
            graph,
            opset_imports=self.model.opset_import,
            ir_version=self.model.ir_version,
            producer_name='pss-net')
        return model.SerializeToString()

    def _add(self, node: Any, inputs: List[str]) -> None:
        """Adds a node of the model."""
        made = self.onnx.NodeProto(op_type=node.op_type, domain=node.domain)
        made.attribute.extend(
            a for a in node.attribute
            if node.op_type != 'Conv' or a.name != 'kernel_shape' and
            self.onnx.helper.get_attribute_value(a) != _DEFAULTS.get(a.name))
        made.input.extend(inputs)
        made.output.extend(self._name(name) for name in node.output)
        self.nodes.append(made)

    def _add_integers(self, layer: Any, dequantised: Dict[str, Any]) -> None:
        """Makes the weight of a quantised layer, and its bias, from shared
        integers; unless the weight is the subnet's own."""
        node = dequantised[layer.input[1]]
        name = node.input[0].removesuffix('_quantized')
        raw = self._before(name)
        if raw is None or not self.weights.is_shared(name, raw):
            return
        block, steps = self.weights.place_integers(name)
        steps = steps[:len(raw)]
        weight = self._sliced(block, raw.shape)
        factor = self.folded.factors.get(name)
        if factor is not None:
            steps = steps * np.abs(factor)
            weight = self._with_signs(weight, factor, raw.ndim)
        vector = self._pack(steps.astype(np.float32), 1)
        # ONNX Runtime fuses Gemm only with a zero point, Conv without one too
        zeros = [self._constant(np.zeros(len(raw), np.int8))] \
            if layer.op_type == 'Gemm' else []
        self.names[layer.input[1]] = self._node(
            'DequantizeLinear', [weight, vector, *zeros], axis=0)
        bias = dequantised.get(layer.input[2]) if len(layer.input) > 2 else None
        if bias is not None:
            codes, former = (self.values[i] for i in bias.input[:2])
            step = former / self.values[node.input[1]]  # of the layer's input
            whole = np.rint(codes * (former / (step * steps)))
            scales = self._node(
                'Mul', [vector, self._constant(step.astype(np.float32))])
            self.names[layer.input[2]] = self._node(
                'DequantizeLinear',
                [self._constant(whole.astype(np.int32)), scales],
                axis=0)

    def _with_signs(self, weight: str, factor: np.ndarray, rank: int) -> str:
        """Integers with the signs of factors: steps are not negative."""
        if (factor >= 0).all():
            return weight
        signs = np.where(factor < 0, -1, 1).astype(np.int8)
        kinds = self.onnx.TensorProto
        weight, row = (
            self._node('Cast', [name], to=kinds.FLOAT)
            for name in (weight,
                         self._constant(signs.reshape(-1,
                                                      *(rank - 1) * (1, )))))
        return self._node(
            'Cast', [self._node('Mul', [weight, row])], to=kinds.INT8)

    def _before(self, name: str) -> Optional[np.ndarray]:
        """A weight of the model before its quantisation and folding."""
        if name in self.folded.weights:
            return self.folded.weights[name]
        for tensor in self.folded.model.graph.initializer:
            if tensor.name == name:
                return self.onnx.numpy_helper.to_array(tensor)
        return None

    def _input(self, name: str) -> str:
        """The graph's name of a tensor of the model."""
        if name in self.names or name not in self.values:
            return self._name(name)
        values = self.values[name]
        if name in self.folded.factors:
            block = self.weights.place(name, self.folded.weights[name])
            self.names[name] = self._node('Mul', [
                self._sliced(block, values.shape),
                self._pack(self.folded.factors[name], values.ndim)
            ])
        elif name in self.folded.biases:
            self.names[name] = self._pack(values, 1)
        elif values.size < SHARED:
            return self._constant(values)
        else:
            self.names[name] = self._sliced(
                self.weights.place(name, values), values.shape)
        return self.names[name]

    def _sliced(self, block: Block, shape: Tuple[int, ...]) -> str:
        """The first values of a weight in the common file."""
        if (block.offset, shape) in self.made:
            return self.made[block.offset, shape]
        tensor = self.onnx.TensorProto(name=self._new())
        tensor.data_type = self.onnx.helper.np_dtype_to_tensor_dtype(
            block.dtype)
        tensor.dims.extend(block.shape)
        tensor.data_location = self.onnx.TensorProto.EXTERNAL
        length = math.prod(block.shape) * block.dtype.itemsize
        for field, value in (('location', WEIGHTS), ('offset', block.offset),
                             ('length', length)):
            tensor.external_data.add(key=field, value=str(value))
        self.initialisers.append(tensor)
        name = tensor.name
        axes = [i for i, side in enumerate(shape) if side < block.shape[i]]
        if axes:
            name = self._node('Slice', [
                name,
                *(self._constant(np.array(places, np.int64))
                  for places in (len(axes) * [0], [shape[i]
                                                   for i in axes], axes))
            ])
        if block.dtype == np.float16:
            name = self._node('Cast', [name], to=self.onnx.TensorProto.FLOAT)
        self.made[block.offset, shape] = name
        return name

    def _constant(self, values: np.ndarray) -> str:
        key = values.dtype.str, values.shape, values.tobytes()
        if key not in self.made:
            self.made[key] = self._new()
            self.initialisers.append(
                self.onnx.numpy_helper.from_array(
                    np.asarray(values), self.made[key]))
        return self.made[key]

    def _pack(self, values: np.ndarray, rank: int) -> str:
        """A vector that is kept in three bytes a number."""
        name = self._new()
        self.packed[rank].append((name, values))
        return name

    def _unpack(self) -> List[Any]:
        """The nodes that make the packed vectors."""
        done, self.nodes = self.nodes, []
        for rank, vectors in self.packed.items():
            if not vectors:
                continue
            shape = (-1, ) + (rank - 1) * (1, )
            units, codes = zip(*(packed(values) for _, values in vectors))
            joined = np.concatenate(codes)
            high, low = (
                self._node(
                    'Cast', [self._constant(part.reshape(shape))],
                    to=self.onnx.TensorProto.FLOAT)
                for part in ((joined >> 8).astype(np.int16),
                             (joined & 255).astype(np.uint8)))
            high = self._node(
                'Mul', [high, self._constant(np.array(256, np.float32))])
            parts = [self._new() for _ in vectors]
            sizes = self._constant(np.array([len(v) for _, v in vectors]))
            self.nodes.append(
                self.onnx.helper.make_node(
                    'Split', [self._node('Add', [high, low]), sizes], parts))
            for (name, _), part, unit in zip(vectors, parts, units):
                self.nodes.append(
                    self.onnx.helper.make_node(
                        'Mul', [part, self._constant(unit)], [name]))
        before, self.nodes = self.nodes, done
        return before

    def _node(self, kind: str, inputs: List[str], **attributes: Any) -> str:
        output = self._new()
        self.nodes.append(
            self.onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _name(self, name: str) -> str:
        if name and name not in self.names:
            self.names[name] = self._new()
        return self.names.get(name, '')

    def _new(self) -> str:
        """A name that the graph does not have yet."""
        self.count += 1
        return np.base_repr(self.count, 36).lower()

    def _bare(self, value: Any) -> Any:
        bare = self.onnx.ValueInfoProto()
        bare.CopyFrom(value)
        bare.doc_string = ''
        return bare


def packed(values: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Numbers as integers of three bytes, in units of a power of two.

    Returns:
        The unit, and the integers: times the unit they differ from the numbers
        by at most 2 ** -23 of the largest one.

    Raises:
        InputError: for numbers that are not finite.
    """
    largest = float(np.abs(values).max(initial=0.))
    if not largest < np.inf:
        raise InputError('its batch norms are not finite')
    exponent = max(math.frexp(largest)[1] - BITS, -126)
    unit = np.array(2.**exponent, np.float32)
    codes = np.rint(values.astype(np.float64) / unit).astype(np.int64)
    return unit, np.minimum(codes, 2**BITS - 1)
