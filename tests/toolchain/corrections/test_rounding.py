"""Rounding of weights for the outputs that they give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from correction_models import Case, decibels
from hypothesis import given, settings
from hypothesis import strategies as st

from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.corrections import rounding
from toolchain.corrections._nearest_plane import round_rows
from toolchain.graphs.edits import array_of
from toolchain.models.onnx_model import CORRECTIONS_KEY, load_ir
from toolchain.models.prepare import prepare
from toolchain.quantizers import _affine
from toolchain.quantizers._kernel_pairs import SAFE_SUM, of_matrix
from toolchain.quantizers.int8 import parameters_of
from toolchain.recipes.apply_recipe import calibrate_graph, keep_in_float
from toolchain.recipes.qdq_placement import place
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

NEAREST = Recipe("int8", "minmax", QuantizationScheme("uint8"))
ROUNDED = replace(NEAREST, corrections=("rounding",))


def inputs(rng: np.random.Generator, rows: int, k: int) -> Array:
    """Inputs that go along with each other, as activations do."""
    return rng.standard_normal((rows, 3)) @ rng.standard_normal((3, k)) + 0.1 * rng.standard_normal((rows, k))


def textbook(weights: Array, moments: Array, scales: Array) -> Array:
    """GPTQ as the paper has it: by the Cholesky factor of the inverse."""
    k = len(moments)
    moments = moments + 0.01 * np.trace(moments) / k * np.eye(k)
    order = np.argsort(-np.diagonal(moments), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T
    left, integers = weights[:, order] / scales[:, None], np.zeros(weights.shape)
    for i in range(k):
        integers[:, order[i]] = np.clip(np.rint(left[:, i]), -127, 127)
        left[:, i + 1 :] -= np.outer((left[:, i] - integers[:, order[i]]) / upper[i, i], upper[i, i + 1 :])
    return integers


@pytest.mark.parametrize("k", [1, 7, 64, 65, 150])
def test_it_is_gptq(k: int) -> None:
    rng = np.random.default_rng(k)
    x, weights = inputs(rng, 400, k), rng.standard_normal((5, k))
    scales = np.abs(weights).max(axis=1) / 127
    made = round_rows(weights[None], (x.T @ x)[None], scales[None], ())[0]
    np.testing.assert_array_equal(made, textbook(weights, x.T @ x, scales))


def test_groups_are_rounded_apart() -> None:
    rng = np.random.default_rng(0)
    weights, x = rng.standard_normal((3, 2, 9)), [inputs(rng, 50, 9) for _ in range(3)]
    moments, scales = np.stack([one.T @ one for one in x]), np.abs(weights).max(axis=2) / 127
    together = round_rows(weights, moments, scales, ())
    for group in range(3):
        one = slice(group, group + 1)
        np.testing.assert_array_equal(together[one], round_rows(weights[one], moments[one], scales[one], ()))


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 70), dead=st.booleans())
def test_no_pair_can_saturate(seed: int, k: int, dead: bool) -> None:
    rng = np.random.default_rng(seed)
    x = inputs(rng, 60, k) * (0 if dead else 1)
    weights = rng.standard_normal((4, k)) + rng.choice([0, 2])
    pairing = of_matrix(k)
    scales = np.maximum(np.abs(weights).max(axis=1), pairing.largest(weights)) / 127
    integers = round_rows(weights[None], (x.T @ x)[None], scales[None], [pairing])[0].astype(int)
    assert np.abs(integers).max() <= 127
    assert pairing.largest(integers).max(initial=0) <= SAFE_SUM


def case(folder: Path, nodes: str, k: int = 24, **constants: Array) -> Case:
    rng = np.random.default_rng(1)
    x = inputs(rng, 128, k).astype(np.float32)
    return Case.of(folder, f"layers (float[N,{k}] x) => (float[N,M] y) {{ {nodes} }}", constants, {"x": x})


@pytest.mark.parametrize("nodes", ["y = MatMul(x, w)", "y = Gemm(x, w)", "y = Gemm<transB=1>(x, w)"])
def test_outputs_come_closer_to_float(tmp_path: Path, nodes: str) -> None:
    shape = (16, 24) if "transB" in nodes else (24, 16)
    made = case(tmp_path, nodes, w=np.random.default_rng(2).standard_normal(shape))
    assert weights_alone(made, ROUNDED) > weights_alone(made, NEAREST) + 3
    assert made.decibels(ROUNDED) > made.decibels(NEAREST)


@pytest.mark.parametrize("group", [1, 2, 4])
def test_convolutions_come_closer_to_float(tmp_path: Path, group: int) -> None:
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((8, 4 // group, 3, 3))
    node = f"y = Conv<pads=[1,0,1,2], strides=[2,1], group={group}>(x, w)"
    smooth = np.cumsum(rng.standard_normal((16, 4, 9, 8)), axis=3)
    text = f"conv (float[N,4,9,8] x) => (float[N,8,M,L] y) {{ {node} }}"
    made = Case.of(tmp_path, text, {"w": weight}, {"x": smooth.astype(np.float32)})
    assert weights_alone(made, ROUNDED) > weights_alone(made, NEAREST) + 2


def test_a_weight_that_two_nodes_read_is_rounded_for_both(tmp_path: Path) -> None:
    made = case(tmp_path, "a = MatMul(x, w) b = Relu(a) y = MatMul(b, w)", w=random_weight(24))
    model = load_ir(made.quantized(ROUNDED).path)
    assert model.metadata_props[CORRECTIONS_KEY] == "rounding 2"
    assert sum(str(name).endswith("rounded.integers") for name in model.graph.initializers) == 1


def test_a_node_that_stays_in_float_gets_its_weight_back(tmp_path: Path) -> None:
    made = case(tmp_path, "a = MatMul(x, v) b = Relu(a) y = MatMul(b, w)", v=random_weight(24), w=random_weight(8))
    graph = prepare(made.model)
    last = [node for node in graph.graph if node.op_type == "MatMul"][-1]
    calibrated = calibrate_graph(graph, ROUNDED, made.samples)
    changed, kept = (
        next(node for node in model.graph if node.name == last.name)
        for model in (calibrated.model, keep_in_float(calibrated, (str(last.name),)).model)
    )
    np.testing.assert_array_equal(array_of(kept.inputs[1]), array_of(last.inputs[1]))
    assert not np.array_equal(array_of(changed.inputs[1]), array_of(last.inputs[1]))


def test_a_correction_that_raises_the_error_of_the_whole_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounding, "round_rows", lambda weights, *_: np.zeros(weights.shape, np.int8))
    made = case(tmp_path, "y = MatMul(x, w)", w=random_weight(16))
    assert load_ir(made.quantized(ROUNDED).path).metadata_props[CORRECTIONS_KEY] == "rounding 0"


def random_weight(columns: int) -> Array:
    return np.random.default_rng(2).standard_normal((24, columns))


def weights_alone(made: Case, recipe: Recipe) -> float:
    """The signal to noise of the float graph with the weights that int8 has, in dB."""
    graph = prepare(made.model)
    calibrated = calibrate_graph(graph, recipe, made.samples)
    for weight in place(calibrated.model, (), calibrated.ranges).weights:
        parameters = parameters_of(weight, QuantizationScheme())
        integers = _affine.quantize(array_of(weight.value), parameters, weight.axis)
        shape = [-1 if axis == weight.axis else 1 for axis in range(integers.ndim)]
        weight.value.const_value = ir.tensor(integers * parameters.scale.reshape(shape), name=weight.value.name)
    return decibels(made.run(calibrated.model), made.run(load_ir(made.model.path)))
