"""Folding batch norms into the convolutions before them, in ONNX models."""

from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np


class Folded(NamedTuple):
    """A model whose convolutions do what the batch norms after them did.

    Attributes:
        model: the ONNX model.
        weights: the convolutions' weights without the norms, by name.
        factors: what the model's weights are times that, for each output
            channel.
        biases: names of the biases that the convolutions got.
    """
    model: Any
    weights: Dict[str, np.ndarray]
    factors: Dict[str, np.ndarray]
    biases: List[str]


def fold_norms(model: Any) -> Folded:
    """Folds batch norms that only a convolution leads to.

    Constants become initialisers, each under its own name.

    Args:
        model: the ONNX model, as :func:`.export_onnx` writes it; it is changed
            in place.
    """
    import onnx
    graph = model.graph
    values = _constants(graph)
    norms = _foldable(graph, values)
    folded = Folded(model, {}, {}, [])
    nodes = []
    for node in graph.node:
        if node.output[0] in values:
            continue
        norm = norms.get(node.output[0])
        if norm is not None:
            name = node.input[1]
            factor, bias = _factor_and_bias(node, norm, values)
            folded.weights[name] = values[name]
            folded.factors[name] = factor
            values[name] = values[name] * factor.reshape(
                -1,
                *(values[name].ndim - 1) * (1, ))
            folded.biases.append(f'{norm.output[0]}_bias')
            values[folded.biases[-1]] = bias
            del node.input[2:]
            node.input.append(folded.biases[-1])
            node.output[0] = norm.output[0]
        elif any(node is other for other in norms.values()):
            continue
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value), name)
        for name, value in values.items() if name in used)
    return folded


def _constants(graph: Any) -> Dict[str, np.ndarray]:
    """Every constant of a graph, by name."""
    from onnx.numpy_helper import to_array
    found = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Constant':
            found[node.output[0]] = to_array(node.attribute[0].t)
    for node in graph.node:
        # equal weights of several layers are one initialiser
        if node.op_type == 'Identity' and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _foldable(graph: Any, values: Dict[str, np.ndarray]) -> Dict[str, Any]:
    """Batch norms that only a convolution leads to, by its output."""
    uses: Dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            uses[name] = uses.get(name, 0) + 1
    outputs = {value.name for value in graph.output}
    convs = {
        node.output[0]
        for node in graph.node if node.op_type == 'Conv'
        and node.input[1] in values and node.output[0] not in outputs
        and uses[node.output[0]] == 1 and uses[node.input[1]] == 1
    }
    return {
        node.input[0]: node
        for node in graph.node
        if node.op_type == 'BatchNormalization' and node.input[0] in convs
    }


def _factor_and_bias(
        conv: Any, norm: Any,
        values: Dict[str, np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
    """What a norm does, for each output channel of the convolution."""
    gamma, beta, mean, var = (
        values[name].astype(np.float64) for name in norm.input[1:])
    epsilon = next((a.f for a in norm.attribute if a.name == 'epsilon'), 1e-5)
    factor = gamma / np.sqrt(var + epsilon)
    bias = beta - mean * factor
    if len(conv.input) > 2:
        bias = bias + factor * values[conv.input[2]]
    return factor.astype(np.float32), bias.astype(np.float32)
