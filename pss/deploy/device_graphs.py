"""ONNX graphs of subnets over one file of weights.

Each graph begins, for every large weight, with ``Slice`` of the largest
subnet's and ``Mul`` by a factor for each output channel, into which its batch
norm is folded. ONNX Runtime folds both when it loads a graph, so that they cost
nothing when it runs. What a subnet has of its own, factors and biases, is kept
in three bytes a number.
"""

import hashlib
import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from ..errors import InputError

WEIGHTS = 'weights.bin'
SHARED = 256  # numbers from which a constant goes to the common file
ALIGNED = 64  # bytes that a weight's offset is a multiple of
BITS = 23  # of a number in three bytes, besides its sign
OPSET, IR = 17, 8
# attributes that a convolution need not name
_DEFAULTS = dict(dilations=[1, 1], group=1, pads=[0, 0, 0, 0], strides=[1, 1])


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

    def __init__(self, full: Mapping[str, np.ndarray], half: bool) -> None:
        self._full = full
        self._half = half
        self._blocks: Dict[str, Block] = {}
        self._parts: List[bytes] = []
        self.size = 0

    def place(self, name: str, values: np.ndarray) -> Block:
        """Where a weight stands: that of its name in the largest subnet, if the
        values are its first ones along all axes; else a copy of their own."""
        full = self._full.get(name)
        if full is not None and _is_first(values, full):
            return self.block(name, full)
        key = f'{values.dtype}{values.shape}'.encode() + values.tobytes()
        return self.block(hashlib.sha256(key).hexdigest(), values)

    def block(self, key: str, values: np.ndarray) -> Block:
        """Where the values of a key stand; they are added the first time."""
        if key not in self._blocks:
            if self._half and values.dtype == np.float32:
                values = values.astype(np.float16)
            self._blocks[key] = Block(self.size, values.shape, values.dtype)
            content = np.ascontiguousarray(values).tobytes()
            self._parts.append(content + bytes(-len(content) % ALIGNED))
            self.size += len(self._parts[-1])
        return self._blocks[key]

    def content(self) -> bytes:
        """The file's bytes."""
        return b''.join(self._parts)


def _is_first(values: np.ndarray, full: np.ndarray) -> bool:
    return values.ndim == full.ndim and values.dtype == full.dtype and \
        all(a <= b for a, b in zip(values.shape, full.shape)) and \
        np.array_equal(values, full[tuple(map(slice, values.shape))])


def share_weights(model: Any, weights: WeightsFile) -> bytes:
    """The graph of a subnet whose weights stand in a common file.

    Args:
        model: its ONNX model, with weights under their names and batch norms
            that are not folded.
        weights: the common file; what it lacks is added to it.

    Returns:
        The graph's file.
    """
    return _Writer(model, weights).write()


class _Writer:
    """Writes one graph, with names as short as possible."""

    def __init__(self, model: Any, weights: WeightsFile) -> None:
        import onnx
        self.onnx = onnx
        self.graph = model.graph
        self.weights = weights
        self.nodes: List[Any] = []
        self.initialisers: List[Any] = []
        self.names: Dict[str, str] = {}
        self.constants: Dict[Any, str] = {}
        self.slices: Dict[str, str] = {}
        # vectors by rank: the graph's name of each, and its values
        self.packed: Dict[int, List[Tuple[str, np.ndarray]]] = {1: [], 4: []}
        self.values = self._values()
        self.count = 0

    def write(self) -> bytes:
        """The serialised model."""
        helper = self.onnx.helper
        for value in (*self.graph.input, *self.graph.output):
            self.names[value.name] = value.name
        norms = self._foldable_norms()
        folded = {norm.output[0] for norm in norms.values()}
        for node in self.graph.node:
            if node.op_type in ('Constant', 'Identity') or \
                    node.output[0] in folded:
                continue
            self._add(node, norms.get(node.output[0]))
        before = self._unpack()
        graph = helper.make_graph(
            before + self.nodes,
            'subnet', [self._bare(value) for value in self.graph.input],
            [self._bare(value) for value in self.graph.output],
            initializer=self.initialisers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid('', OPSET)],
            ir_version=IR,
            producer_name='pss-net')
        return model.SerializeToString()

    def _values(self) -> Dict[str, Tuple[str, np.ndarray]]:
        """Every constant of the model: its initialiser's name and values."""
        to_array = self.onnx.numpy_helper.to_array
        found = {
            tensor.name: (tensor.name, to_array(tensor))
            for tensor in self.graph.initializer
        }
        for node in self.graph.node:
            if node.op_type == 'Constant':
                found[node.output[0]] = '', to_array(node.attribute[0].t)
        for node in self.graph.node:
            if node.op_type == 'Identity' and node.input[0] in found:
                # equal weights of several layers are one initialiser
                found[node.output[0]] = node.output[0], found[node.input[0]][1]
        return found

    def _foldable_norms(self) -> Dict[str, Any]:
        """Batch norms that only a convolution leads to, by its output."""
        uses: Dict[str, int] = {}
        for node in self.graph.node:
            for name in node.input:
                uses[name] = uses.get(name, 0) + 1
        outputs = {value.name for value in self.graph.output}
        convs = {
            node.output[0]: node
            for node in self.graph.node
            if node.op_type == 'Conv' and node.input[1] in self.values
            and node.output[0] not in outputs and uses[node.output[0]] == 1
        }
        return {
            node.input[0]: node
            for node in self.graph.node
            if node.op_type == 'BatchNormalization' and node.input[0] in convs
        }

    def _add(self, node: Any, norm: Optional[Any]) -> None:
        """Adds a node, a convolution together with the norm after it."""
        inputs = list(node.input)
        if norm is None:
            names = [self._input(name) for name in inputs]
            outputs = node.output
        else:
            factor, bias = self._fold(node, norm)
            weight = self._shared(*self.values[inputs[1]], self.new())
            scaled = self._node('Mul', [weight, self._pack(factor, 4)])
            names = [self._input(inputs[0]), scaled, self._pack(bias, 1)]
            outputs = norm.output
        made = self.onnx.NodeProto()
        made.CopyFrom(node)
        del made.input[:], made.output[:]
        made.name = made.doc_string = ''
        if node.op_type == 'Conv':
            del made.attribute[:]
            made.attribute.extend(
                a for a in node.attribute if a.name != 'kernel_shape' and self.
                onnx.helper.get_attribute_value(a) != _DEFAULTS.get(a.name))
        made.input.extend(names)
        made.output.extend(self._name(name) for name in outputs)
        self.nodes.append(made)

    def _fold(self, conv: Any, norm: Any) -> Tuple[np.ndarray, np.ndarray]:
        """A factor and a bias for each output channel of a convolution, which
        do what the norm after it does."""
        gamma, beta, mean, var = (
            self.values[name][1].astype(np.float64) for name in norm.input[1:])
        epsilon = next((a.f for a in norm.attribute if a.name == 'epsilon'),
                       1e-5)
        factor = gamma / np.sqrt(var + epsilon)
        bias = beta - mean * factor
        if len(conv.input) > 2:
            bias += factor * self.values[conv.input[2]][1]
        return factor.astype(np.float32), bias.astype(np.float32)

    def _input(self, name: str) -> str:
        if name not in self.values:
            return self._name(name)
        key, values = self.values[name]
        if values.size < SHARED or values.dtype != np.float32:
            return self._constant(values)
        return self._shared(key, values, self.new())

    def _shared(self, key: str, values: np.ndarray, name: str) -> str:
        """A weight from the common file, cut to the subnet's and float32."""
        block = self.weights.place(key, values)
        made = self.slices.get(repr((block.offset, values.shape)))
        if made is not None:
            return made
        tensor = self.onnx.TensorProto(name=name)
        tensor.data_type = self.onnx.helper.np_dtype_to_tensor_dtype(
            block.dtype)
        tensor.dims.extend(block.shape)
        length = int(np.prod(block.shape)) * block.dtype.itemsize
        tensor.data_location = self.onnx.TensorProto.EXTERNAL
        for field, value in (('location', WEIGHTS), ('offset', block.offset),
                             ('length', length)):
            tensor.external_data.add(key=field, value=str(value))
        self.initialisers.append(tensor)
        axes = [
            axis
            for axis, (cut, full) in enumerate(zip(values.shape, block.shape))
            if cut < full
        ]
        if axes:
            name = self._node('Slice', [
                name,
                self._constant(np.zeros(len(axes), np.int64)),
                self._constant(np.array([values.shape[axis] for axis in axes])),
                self._constant(np.array(axes))
            ])
        if block.dtype != values.dtype:
            name = self._node('Cast', [name], to=self.onnx.TensorProto.FLOAT)
        self.slices[repr((block.offset, values.shape))] = name
        return name

    def _constant(self, values: np.ndarray) -> str:
        key = values.dtype.str, values.shape, values.tobytes()
        if key not in self.constants:
            self.constants[key] = self.new()
            self.initialisers.append(
                self.onnx.numpy_helper.from_array(
                    np.asarray(values), self.constants[key]))
        return self.constants[key]

    def _pack(self, values: np.ndarray, rank: int) -> str:
        """A vector that is kept in three bytes a number."""
        name = self.new()
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
            parts = [self.new() for _ in vectors]
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
        output = self.new()
        self.nodes.append(
            self.onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _name(self, name: str) -> str:
        if name and name not in self.names:
            self.names[name] = self.new()
        return self.names.get(name, '')

    def new(self) -> str:
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
