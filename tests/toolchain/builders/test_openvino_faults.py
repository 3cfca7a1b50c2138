"""A table of operators before a Q and after a DQ: what int8 for OpenVINO computes there, against exact arithmetic."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from variants import make, normal, parse

from runtimes.backends import backend
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.profile import QuantizationScheme
from runtimes.verification.golden import relative_error
from toolchain.builders import builder
from toolchain.models import ort_session
from toolchain.models.onnx_model import load_ir
from toolchain.recipes.recipe import Recipe

pytest.importorskip("openvino", reason="openvino is not installed")

pytestmark = pytest.mark.int8

RECIPE = Recipe("int8", "minmax", QuantizationScheme(), for_runtime="openvino")
SAMPLES = {"x": normal(8, 8, 6, 6)}
TOLERANCE = 0.03  # a few roundings that differ by one step

# Each row computes `r` from `v` of shape [N,8,6,6]; the number is the size of its last axis, which a product reads.
REDUCTIONS = ("ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum", "ReduceL1", "ReduceL2", "ReduceLogSumExp")
ROWS = {
    **{f"{op} to a row": (f"r = {op}<keepdims=0>(v, sides)", 8) for op in REDUCTIONS},
    **{f"{op} to a pixel": (f"r = {op}<keepdims=1>(v, sides)", 1) for op in REDUCTIONS},
    **{f"{op} over channels": (f"r = {op}<keepdims=0>(v, channels)", 6) for op in REDUCTIONS},
    **{f"{op} over channels, kept": (f"r = {op}<keepdims=1>(v, channels)", 6) for op in REDUCTIONS},
    **{f"{op}, Relu": (f"s = {op}<keepdims=0>(v, channels) r = Relu(s)", 6) for op in REDUCTIONS},
    **{f"{op}, one added": (f"s = {op}<keepdims=0>(v, channels) r = Add(s, one)", 6) for op in REDUCTIONS},
    **{f"{op}, six added": (f"s = {op}<keepdims=0>(v, channels) r = Add(s, six)", 6) for op in REDUCTIONS},
    **{f"{op}, a column added": (f"s = {op}<keepdims=0>(v, channels) r = Add(s, column)", 6) for op in REDUCTIONS},
    **{f"{op}, eight added": (f"s = {op}<keepdims=0>(v, sides) r = Add(s, eight)", 8) for op in REDUCTIONS},
    **{f"{op} to a width, six scaled": (f"s = {op}<keepdims=0>(v, front) r = Mul(s, six)", 6) for op in REDUCTIONS},
    **{f"{op}, transposed": (f"s = {op}<keepdims=0>(v, sides) r = Transpose<perm=[0,1]>(s)", 8) for op in REDUCTIONS},
    **{f"{op}, broadcast": (f"s = {op}<keepdims=1>(v, channels) r = Sub(v, s)", 6) for op in REDUCTIONS},
    "two reductions": (
        "s = ReduceMax<keepdims=0>(v, sides) t = ReduceMean<keepdims=0>(v, sides) r = Concat<axis=1>(s, t)",
        16,
    ),
    "GlobalMaxPool": ("s = GlobalMaxPool(v) r = Flatten(s)", 8),
    "GlobalAveragePool": ("s = GlobalAveragePool(v) r = Flatten(s)", 8),
    "GlobalAveragePool, eight added": ("s = GlobalAveragePool(v) t = Flatten(s) r = Add(t, eight)", 8),
    "MaxPool": ("r = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(v)", 6),
    "AveragePool": ("r = AveragePool<kernel_shape=[3,3]>(v)", 4),
    "AveragePool, padded": ("r = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(v)", 6),
    "AveragePool, counted": ("r = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(v)", 6),
    "AveragePool, counted on a side": (
        "r = AveragePool<kernel_shape=[3,3], pads=[0,2,1,0], count_include_pad=1>(v)",
        6,
    ),
    "AveragePool, counted after MaxPool": (
        "s = MaxPool<kernel_shape=[3,3]>(v) t = Concat<axis=1>(s, s) "
        "r = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(t)",
        4,
    ),
    "AveragePool, counted after Relu": (
        "s = Relu(v) r = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(s)",
        6,
    ),
    "ArgMax": ("i = ArgMax<axis=1, keepdims=0>(v) r = Cast<to=1>(i)", 6),
    "ArgMin": ("i = ArgMin<axis=1, keepdims=0>(v) r = Cast<to=1>(i)", 6),
    "TopK": ("r, i = TopK<axis=1>(v, three)", 6),
    "CumSum": ("r = CumSum(v, axis)", 6),
    "Pad": ("r = Pad(v, borders)", 8),
    "Resize": ('r = Resize<mode="linear">(v, , scales)', 12),
    **{op: (f"r = {op}(v)", 6) for op in ("Abs", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "Softmax", "HardSigmoid")},
    **{f"{op} of a vector": (f"r = {op}(v, six)", 6) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")},
    "LayerNormalization": ("r = LayerNormalization(v, six)", 6),
    "InstanceNormalization": ("r = InstanceNormalization(v, eight, eight)", 6),
}
CONSTANTS = {
    "sides": np.array([2, 3]),
    "channels": np.array([1]),
    "front": np.array([1, 2]),
    "column": np.linspace(0.3, 2, 6, dtype=np.float32)[:, None],
    "axis": np.int64(2),
    "three": np.array([3]),
    "one": np.float32(0.3),
    "six": np.linspace(0.3, 2, 6, dtype=np.float32),
    "eight": np.linspace(0.3, 2, 8, dtype=np.float32),
    "borders": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    "scales": np.array([1, 1, 2, 2], np.float32),
}
FAULTS = {
    "before a Q": {"ReduceMax to a row", "ReduceMin over channels", "ReduceMean, a column added", "two reductions"},
    "after a DQ": {"AveragePool, counted", "AveragePool, counted on a side"},
}
# Each row has a value of its own: OpenVINO computes equal parts of a graph once, and fuses nothing into a shared one.
BEFORE = {"before a Q": "v = Mul(x, factor)", "after a DQ": "v = Conv<pads=[1,1,1,1]>(x, filters)"}


@pytest.mark.parametrize("before", BEFORE)
def test_openvino_computes_what_is_written(tmp_path: Path, before: str) -> None:
    assert wrong_rows(tmp_path, before, RECIPE, ROWS) == {}


@pytest.mark.parametrize("before", BEFORE)
def test_openvino_still_computes_other_pairs_wrongly(tmp_path: Path, before: str) -> None:
    """Once a release of OpenVINO has mended a fault, this fails, and what avoids the fault can go."""
    plain = dataclasses.replace(RECIPE, for_runtime=None)
    assert set(wrong_rows(tmp_path, before, plain, FAULTS[before])) == FAULTS[before]


def test_only_what_is_wrong_stays_in_float(tmp_path: Path) -> None:
    text = """t (float[N,8,6,6] x) => (float[N,4] y, float[N,4] z) {
        s = ReduceMax<keepdims=0>(x, sides) y = MatMul(s, w)
        t = ReduceMean<keepdims=0>(x, sides) z = MatMul(t, u)
    }"""
    proto = parse(text, {"sides": np.array([2, 3]), "w": normal(8, 4), "u": normal(8, 4, 1)[..., 0]}, opset=18)
    _, made = make(tmp_path, proto, RECIPE, SAMPLES)
    quantized = {
        value.name for node in load_ir(made.path).graph if node.op_type == "QuantizeLinear" for value in node.inputs
    }
    assert "t" in quantized
    assert "s" not in quantized


def wrong_rows(folder: Path, before: str, recipe: Recipe, rows: Iterable[str]) -> dict[str, float]:
    """Rows whose product OpenVINO computes otherwise than the graph says, with their error."""
    nodes, constants, rows = [], dict(CONSTANTS), list(rows)
    for index, (text, last) in enumerate(ROWS[row] for row in rows):
        text = f"{BEFORE[before]} {text} y = MatMul(r, weights)"
        nodes.append(re.sub(r"\b([vrstiy]|factor|filters|weights)\b", rf"\g<1>{index}", text))
        own = {"weights": normal(last, 4, index + 1)[..., 0], "factor": np.float32(1 + index / 100)}
        own["filters"] = normal(8, 8, 3, 3, index + 1)[..., 0] / 10
        constants.update({f"{name}{index}": array for name, array in own.items() if name in text})
    outputs = ", ".join(f"float[] y{index}" for index in range(len(rows)))
    proto = parse(f"t (float[N,8,6,6] x) => ({outputs}) {{ {' '.join(nodes)} }}", constants, opset=18)
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    _, made = make(folder, proto, recipe, SAMPLES)
    artifact = builder("openvino").build(made, recipe, RuntimeSettings(), folder)
    feeds = {"x": SAMPLES["x"][:2]}
    exact = ort_session.exact_session(made.path).run(None, feeds)
    with backend("openvino").load(artifact, artifact.file.read_bytes()) as session:
        computed = session.run(feeds)
    errors = {row: relative_error(*pair) for row, pair in zip(rows, zip(computed.values(), exact))}
    return {row: error for row, error in errors.items() if not error <= TOLERANCE}
