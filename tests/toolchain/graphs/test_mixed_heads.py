"""Boxes in pixels and scores in 0..1 in one tensor: each keeps a scale of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from arithmetic import exactly

from hwbench.data import dataset
from runtimes.tensors import Array
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import OnnxModel, load_ir, open_model
from toolchain.models.prepare import prepare
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.qdq_placement import MAX_RANGE_RATIO, place
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

RECIPE = Recipe("int8", "minmax")
HEAD = """head (float[N,8,6,6] x) => (float[N,6,36] y) {
    boxes = Conv(x, w_boxes)
    logits = Conv(x, w_scores)
    scores = Sigmoid(logits)
    both = Concat<axis=1>(boxes, scores)
    y = Reshape(both, shape)
}"""
READ_ON = """read_on (float[N,8,6,6] x) => (float[N,8,6,6] y) {
    boxes = Conv(x, w_boxes)
    logits = Conv(x, w_scores)
    scores = Sigmoid(logits)
    both = Concat<axis=1>(boxes, scores)
    y = Conv(both, w_last)
}"""


def model(folder: Path, text: str, size: float = 640.0) -> OnnxModel:
    rng = np.random.default_rng(0)
    weights = {
        "w_boxes": rng.normal(0, size / 10, (4, 8, 1, 1)),
        "w_scores": rng.normal(0, 0.5, (2, 8, 1, 1)),
        "w_last": rng.normal(0, 0.5, (8, 6, 1, 1)),
    }
    shape = onnx.numpy_helper.from_array(np.array([0, 6, 36]), "shape")
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    for name, array in weights.items():
        if name in text:
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    proto.graph.initializer.extend([shape] if "shape" in text else [])
    onnx.save(proto, folder / "head.onnx")
    np.savez(folder / "x.npz", x=rng.standard_normal((32, 8, 6, 6)).astype(np.float32))
    return open_model(folder / "head.onnx")


def outputs(source: OnnxModel, folder: Path) -> tuple[Array, Array]:
    """Compute the outputs of int8 and float."""
    samples = dataset.read(folder / "x.npz", source.inputs)
    made = quantize(source, RECIPE, samples, folder / "int8.onnx")
    feeds = {name: array[:] for name, array in samples.arrays.items()}
    return exactly(made.path, feeds)[0], exactly(source.path, feeds)[0]


def test_scores_beside_boxes_keep_their_levels(tmp_path: Path) -> None:
    made, expected = outputs(model(tmp_path, HEAD), tmp_path)
    assert np.abs(made[:, 4:] - expected[:, 4:]).max() < 0.03  # on the boxes' scale, a step is 5
    assert len(np.unique(made[:, 4:])) > 100
    assert np.abs(made[:, :4] - expected[:, :4]).max() < 0.03 * np.abs(expected[:, :4]).max()


def test_alike_operands_share_integers(tmp_path: Path) -> None:
    source = model(tmp_path, HEAD, size=0.5)
    outputs(source, tmp_path)
    concat = next(node for node in load_ir(tmp_path / "int8.onnx").graph if node.op_type == "Concat")
    assert [use.node.op_type for use in concat.outputs[0].uses()] == ["QuantizeLinear"]


def test_a_product_that_reads_both_wants_one_scale_in_any_case(tmp_path: Path) -> None:
    graph = prepare(model(tmp_path, READ_ON))
    nodes = place(graph, ()).nodes
    assert any(node.op_type == "Concat" for node in nodes)
    assert place(graph, (), ranges(graph, 640.0)).nodes == nodes


@pytest.mark.parametrize(("spread", "stays"), [(MAX_RANGE_RATIO, True), (MAX_RANGE_RATIO + 0.1, False)])
def test_how_unlike_operands_may_be(tmp_path: Path, spread: float, stays: bool) -> None:
    graph = prepare(model(tmp_path, HEAD))
    nodes = place(graph, (), ranges(graph, spread)).nodes
    assert any(node.op_type == "Concat" for node in nodes) == stays


def ranges(graph, spread: float) -> dict[str, Range]:  # type: ignore[no-untyped-def]
    """Boxes `spread` times as wide as scores."""
    return {
        str(value.name): Range(0.0, spread if value.name == "boxes" else 1.0) for value in place(graph, ()).activations
    }
