"""Rows of the inputs that products multiply their weights with, over the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import onnx_ir as ir

from hwbench.data.dataset import Dataset
from runtimes.tensors import Array
from toolchain.analysis import im2col
from toolchain.graphs.edits import array_of
from toolchain.models import ort_session
from toolchain.quantizers import _kernel_pairs
from toolchain.recipes.qdq_placement import Weight


def over_rows(
    reference: ir.Model, weights: Sequence[Weight], data: Dataset, *, runs: int, rows: Callable[[Weight], int]
) -> Iterator[tuple[int, Array]]:
    """Run the first samples, and yield rows of each product's input.

    A Conv reads a row per place of its output; of a large picture, some are taken at random.

    Args:
        reference: the prepared float model; it stays unchanged.
        weights: weights of products of its main graph, by nodes of the same names.
        data: the calibration samples.
        runs: the most inferences to run.
        rows: returns the number of rows to take of a product, over all inferences.

    Yields:
        The index of a weight, and rows, float32 [rows, groups, k], with k in the weight's order.
    """
    inputs = list(dict.fromkeys(map(input_name, weights)))
    session = ort_session.session(_observer_graph(reference, inputs))
    runs = min(runs, data.n // data.batch_size)
    for seed, (_, outputs) in enumerate(islice(ort_session.over_samples(session, data), runs)):
        read = dict(zip(inputs, outputs))
        for index, weight in enumerate(weights):
            shape, wanted = array_of(weight.value).shape, -(-rows(weight) // runs)
            yield index, im2col.rows(weight.node, shape, read[input_name(weight)], wanted, seed)


def input_name(weight: Weight) -> str:
    """Name the tensor that a product multiplies with a weight."""
    source = weight.node.inputs[0]
    assert source is not None
    return str(source.name)


def depth(weight: Weight) -> int:
    """Count the products that one output of a layer sums over."""
    array = array_of(weight.value)
    return array.size // int(array.shape[weight.axis])


def groups(weight: Weight) -> int:
    """Count the groups of channels that a layer computes apart."""
    return weight.node.attributes.get_int("group", 1) if weight.node.op_type == "Conv" else 1


def matrices(weight: Weight) -> Array:
    """Lay out a weight as a matrix per group: [groups, channels, k]."""
    rows = _kernel_pairs.rows(array_of(weight.value), weight.axis)
    return np.asarray(rows.reshape(groups(weight), -1, rows.shape[1]))


def _observer_graph(reference: ir.Model, tensors: Sequence[str]) -> ir.Model:
    observer = reference.clone()
    values = {value.name: value for node in observer.graph for value in node.outputs}
    values.update({value.name: value for value in observer.graph.inputs})
    observer.graph.outputs.clear()
    observer.graph.outputs.extend(values[name] for name in tensors)
    return observer
