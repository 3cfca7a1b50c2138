"""Nodes that lose accuracy in a half precision, and models that recover once those nodes stay in float."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import tiny_models
from onnx import helper, numpy_helper

from hwbench.budgets.budget import parse_all
from hwbench.data import dataset
from hwbench.machine import device_profiles
from toolchain.analysis.half_errors import half_sensitivity
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import open_model
from toolchain.models.prepare import prepare
from toolchain.pipeline.build import build
from toolchain.pipeline.request import BuildRequest
from toolchain.quantizers import bf16, fp16
from toolchain.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_process")

_WIDTH = 64
_LAYERS = 6
_OFFSET = {"bf16": 4096.0, "fp16": 16384.0}


def _collapsing(folder, half):
    """Six layers; the third adds a number that leaves a half's mantissa no bits for the rest, and the fourth's bias
    takes it away again. What float32 decides are the labels.
    """
    rng = np.random.default_rng(0)
    nodes, constants, value, offset = [], [], "x", 0.0
    for number in range(_LAYERS):
        weight = rng.normal(0, (2 / _WIDTH) ** 0.5, (_WIDTH, _WIDTH)).astype(np.float32)
        bias = (0.1 - offset * weight.sum(axis=0, dtype=np.float64)).astype(np.float32)
        offset = _OFFSET[half] if number == 2 else 0.0
        constants += [
            numpy_helper.from_array(weight, f"w{number}"),
            numpy_helper.from_array(bias + np.float32(offset), f"b{number}"),
        ]
        nodes.append(helper.make_node("Gemm", [value, f"w{number}", f"b{number}"], [f"m{number}"], f"layer{number}"))
        value = "y" if number == _LAYERS - 1 else f"r{number}"
        nodes.append(helper.make_node("Relu", [f"m{number}"], [value], f"relu{number}"))
    floats = [helper.make_tensor_value_info(name, 1, ["N", _WIDTH]) for name in "xy"]
    graph = helper.make_graph(nodes, "collapsing", floats[:1], floats[1:], constants)
    file = folder / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    x = rng.standard_normal((528, _WIDTH)).astype(np.float32)
    (y,) = ort.InferenceSession(file).run(None, {"x": x})
    np.savez(folder / "c.npz", x=x[400:])
    np.savez(folder / "e.npz", x=x[:400], labels=y[:400].argmax(1))
    return file


@pytest.mark.parametrize("quantizer", [bf16, fp16])
def test_the_nodes_around_an_offset_are_the_worst(quantizer, tmp_path):
    model = open_model(_collapsing(tmp_path, quantizer.COMPUTES_IN))
    samples = dataset.read(tmp_path / "c.npz", model.inputs)
    graph = prepare(model)
    ranking = half_sensitivity(graph, quantizer.half_nodes(graph, {}), quantizer.HALF, samples)
    assert set(ranking[:3]) == {"layer2", "relu2", "layer3"}
    assert set(ranking) == {str(node.name) for node in graph.graph}


def _ranked(folder, quantizer, body, ranges=None):
    model = open_model(tiny_models.double(folder / "m.onnx", body=body))
    graph = prepare(model)
    x = np.random.default_rng(0).standard_normal((8, 2)).astype(np.float32)
    np.savez(folder / "x.npz", x=x)
    samples = dataset.read(folder / "x.npz", model.inputs)
    nodes = quantizer.half_nodes(graph, ranges or {})
    ranking = half_sensitivity(graph, nodes, quantizer.HALF, samples)
    written = {str(node.name): str(node.outputs[0].name) for node in graph.graph}
    return [written[name] for name in ranking]


def test_a_node_whose_output_never_changes_and_is_exact_is_the_least(tmp_path):
    body = "a = Sub(x, x) b = Relu(a) c = Add(x, b) y = Tanh(c)"
    assert set(_ranked(tmp_path, bf16, body)[:2]) == {"c", "y"}


def test_what_fp16_leaves_in_float_anyway_is_not_ranked(tmp_path):
    body = "a = Mul(x, x) b = Add(a, x) y = Tanh(b)"
    assert set(_ranked(tmp_path, fp16, body)) == {"a", "b", "y"}
    assert _ranked(tmp_path, fp16, body, {"a": Range(0.0, 1e6)}) == ["y"]
    assert _ranked(tmp_path, fp16, body, {"a": Range(0.0, 1e6), "y": Range(0.0, 1e6)}) == []


@pytest.mark.parametrize("quantizer", [bf16, fp16])
def test_what_is_kept_and_what_it_reads_stay_in_float(quantizer, tmp_path):
    model = open_model(_collapsing(tmp_path, quantizer.COMPUTES_IN))
    made = quantizer.quantize(prepare(model), Recipe(quantizer.COMPUTES_IN, keep=("layer3",)), {})
    dtypes = {node.name: node.inputs[0].dtype for node in made.graph if node.op_type in ("Gemm", "Relu")}
    assert dtypes.pop("layer3") == dtypes.pop("relu2") == ir.DataType.FLOAT
    assert set(dtypes.values()) == {quantizer.HALF}
    assert len(dtypes) == 2 * _LAYERS - 2


def _build_with_kept_nodes(folder, half, profile, runtime):
    """Build, check that the plain candidate misses its budget, and return the one that meets it with kept nodes."""
    request = BuildRequest(
        *(str(_collapsing(folder, half)), "collapsing", folder, (device_profiles.load(profile),)),
        calibration=folder / "c.npz",
        evaluation=folder / "e.npz",
        precisions=("fp32", half),
        runtimes=(runtime,),
        budgets=parse_all(["accuracy_drop<=0.15"]),
    )
    (found,) = build(request).profiles
    kept = [entry for entry in found.candidates if entry.recipe.get("keep")]
    assert 1 + len(kept) <= 2 + math.log2(2 * _LAYERS)
    (back,) = [entry for entry in kept if entry.status != "rejected"]
    assert set(back.recipe["keep"]) <= {"layer2", "relu2", "layer3"}
    assert back.outcome == "pass"
    assert 1 <= back.layers["fp32"] <= 2
    assert back.layers[half] == _LAYERS - back.layers["fp32"]
    (lost,) = [e for e in found.candidates if half in e.name and not e.recipe.get("keep") and e.report is not None]
    assert lost.report.accuracy.drop().value > 0.3
    return back


def test_bf16_that_collapses_comes_back_on_openvino(tmp_path):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16 arithmetic")
    back = _build_with_kept_nodes(tmp_path, "bf16", "x86-64-amx", "openvino")
    assert dict(back.settings.options) == {}  # the graph says it all


def test_fp16_that_collapses_comes_back_in_an_engine(tmp_path):
    """An emulated engine takes the GPU's place here."""
    entry = _build_with_kept_nodes(tmp_path, "fp16", "jetson-orin-nano", "tensorrt")
    assert entry.report.artifact.is_compiled_on_device
