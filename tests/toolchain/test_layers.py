"""Layer errors and bias correction, on a real graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from hwbench import dataset
from hwbench.dataset import Dataset
from runtimes.profile import QuantizationScheme
from toolchain.layer_errors import LayerError, layer_errors
from toolchain.model import OnnxModel, open_model
from toolchain.prepare import prepare
from toolchain.quantize import calibrate
from toolchain.recipe import Recipe

RECIPE = Recipe("int8", "minmax", QuantizationScheme("uint8"))


@dataclass(frozen=True)
class Case:
    model: OnnxModel
    samples: Dataset


@pytest.fixture(scope="module", params=[13, 18], ids=["opset13", "opset18"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Three Convs; the second has one weight a hundred times the others, which costs the others their resolution."""
    text = """ outlier (float[N,3,12,12] image) => (float[N,4,12,12] y) {
        a = Conv<pads=[1,1,1,1]>(image, first)
        b = Relu(a)
        c = Conv<pads=[1,1,1,1]>(b, second, bias)
        d = Relu(c)
        y = Conv<pads=[1,1,1,1]>(d, third)
    }"""
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {request.param}]>{text}')
    second = rng.normal(0, 0.1, (8, 8, 3, 3))
    second[:, 0, 0, 0] = 10.0
    weights = {"first": rng.normal(0, 0.3, (8, 3, 3, 3)), "second": second, "third": rng.normal(0, 0.3, (4, 8, 3, 3))}
    for name, array in {**weights, "bias": rng.normal(0, 0.1, (8,))}.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    folder = tmp_path_factory.mktemp("outlier")
    onnx.save(proto, folder / "outlier.onnx")
    np.savez(folder / "x.npz", image=rng.standard_normal((24, 3, 12, 12)).astype(np.float32))
    model = open_model(folder / "outlier.onnx")
    return Case(model, dataset.read(folder / "x.npz", model.inputs))


def errors_with(case: Case, recipe: Recipe) -> list[LayerError]:
    graph, ranges = calibrate(prepare(case.model), recipe, case.samples, case.model.inputs)
    return layer_errors(graph, recipe, ranges, case.model.inputs, case.samples.arrays)


def test_the_layer_that_hurts_comes_first(case: Case) -> None:
    errors = errors_with(case, RECIPE)
    assert len(errors) == 3
    convs = [str(node.name) for node in prepare(case.model).graph if node.op_type == "Conv"]
    assert errors[0].node == convs[1]
    assert [error.own for error in errors] == sorted(error.own for error in errors)
    assert all(10 < error.own < 80 for error in errors)


def test_error_adds_up_along_the_model(case: Case) -> None:
    by_layer = {error.node: error for error in errors_with(case, RECIPE)}
    convs = [str(node.name) for node in prepare(case.model).graph if node.op_type == "Conv"]
    assert by_layer[convs[2]].total < by_layer[convs[0]].total


def test_keeping_the_worst_layer_takes_its_error_away(case: Case) -> None:
    worst = errors_with(case, RECIPE)[0].node
    kept = errors_with(case, Recipe("int8", "minmax", QuantizationScheme("uint8"), keep=(worst,)))
    assert worst not in [error.node for error in kept]
    assert len(kept) == 2


def test_bias_correction_removes_the_mean_shift(case: Case) -> None:
    """Against NumPy on the graph's own outputs: the float model's channel means are the corrected model's."""
    plain = shift(case, RECIPE)
    corrected = shift(case, Recipe("int8", "minmax", QuantizationScheme("uint8"), corrections=("bias",)))
    assert np.abs(corrected).max() < 0.5 * np.abs(plain).max()


def shift(case: Case, recipe: Recipe) -> np.ndarray:  # type: ignore[type-arg]
    """Mean difference per output channel between int8 and float."""
    import onnxruntime as ort

    from toolchain.model import save_ir
    from toolchain.quantizers import int8

    graph, ranges = calibrate(prepare(case.model), recipe, case.samples, case.model.inputs)
    made = save_ir(int8.quantize(graph, recipe, ranges), case.model.path.parent / f"{recipe.corrections}.onnx")
    outputs = [
        ort.InferenceSession(path).run(None, dict(case.samples.arrays))[0] for path in (made.path, case.model.path)
    ]
    return np.asarray((outputs[0] - outputs[1]).mean(axis=(0, 2, 3)))


def test_correction_gives_a_bias_to_a_layer_without_one(case: Case) -> None:
    recipe = Recipe("int8", "minmax", QuantizationScheme("uint8"), corrections=("bias",))
    graph, _ = calibrate(prepare(case.model), recipe, case.samples, case.model.inputs)
    convs = [node for node in graph.graph if node.op_type == "Conv"]
    assert all(len(node.inputs) == 3 and isinstance(node.inputs[2], ir.Value) for node in convs)
