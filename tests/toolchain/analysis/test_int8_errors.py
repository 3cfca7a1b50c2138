"""Layer errors and bias correction, on a real graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from arithmetic import exactly
from networks import NETWORKS
from variants import normal, parse

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes import npz
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from runtimes.verification.golden import relative_error
from toolchain.analysis.int8_errors import LayerError, layer_errors, sensitivity
from toolchain.graphs.edits import array_of, is_constant
from toolchain.models.onnx_model import OnnxModel, load_ir, open_model
from toolchain.models.prepare import prepare
from toolchain.recipes.apply_recipe import CalibratedGraph, calibrate_graph, keep_in_float, quantize
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

RECIPE = Recipe("int8", "minmax", QuantizationScheme("uint8"))
CORRECTED = replace(RECIPE, corrections=("bias",))


@dataclass(frozen=True)
class Case:
    model: OnnxModel
    samples: Dataset


@pytest.fixture(scope="module", params=[13, 18], ids=["opset13", "opset18"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Three Convs; the second has one weight a hundred times the others, which costs the others their resolution. The
    first has no bias.
    """
    text = """ outlier (float[N,3,12,12] image) => (float[N,4,12,12] y) {
        a = Conv<pads=[1,1,1,1]>(image, first)
        b = Relu(a)
        c = Conv<pads=[1,1,1,1]>(b, second, bias)
        d = Relu(c)
        y = Conv<pads=[1,1,1,1]>(d, third, last)
    }"""
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {request.param}]>{text}')
    second = rng.normal(0, 0.1, (8, 8, 3, 3))
    second[:, 0, 0, 0] = 10.0
    weights = {"first": rng.normal(0, 0.3, (8, 3, 3, 3)), "second": second, "third": rng.normal(0, 0.3, (4, 8, 3, 3))}
    biases = {"bias": rng.normal(0, 0.1, (8,)), "last": rng.normal(0, 0.1, (4,))}
    for name, array in {**weights, **biases}.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    folder = tmp_path_factory.mktemp("outlier")
    onnx.save(proto, folder / "outlier.onnx")
    np.savez(folder / "x.npz", image=rng.standard_normal((24, 3, 12, 12)).astype(np.float32))
    model = open_model(folder / "outlier.onnx")
    return Case(model, dataset.read(folder / "x.npz", model.inputs))


def known(case: Case, recipe: Recipe) -> CalibratedGraph:
    return calibrate_graph(prepare(case.model), recipe, case.samples)


def errors_with(case: Case, recipe: Recipe) -> list[LayerError]:
    return layer_errors(known(case, recipe), recipe, case.samples)


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
    convs = [str(node.name) for node in prepare(case.model).graph if node.op_type == "Conv"]
    assert worst == convs[1]
    assert [error.node for error in kept] == [convs[2]]  # its producer would write integers, so it is kept too


def test_bias_correction_removes_the_mean_shift(case: Case) -> None:
    """Against NumPy on the graph's own outputs: the float model's channel means are the corrected model's."""
    assert np.abs(shift(case, CORRECTED)).max() < 0.5 * np.abs(shift(case, RECIPE)).max()


def shift(case: Case, recipe: Recipe) -> Array:
    """Mean difference per output channel between int8 and float."""
    difference = np.subtract(*outputs(case, recipe))
    return np.asarray(difference.mean(axis=(0, 2, 3)))


def outputs(case: Case, recipe: Recipe) -> tuple[Array, Array]:
    """Compute the outputs of int8 and of the source."""
    made = quantize(case.model, recipe, case.samples, case.model.path.parent / f"{recipe.corrections}.onnx")
    feeds = {name: array[:] for name, array in case.samples.arrays.items()}
    return exactly(made.path, feeds)[0], exactly(case.model.path, feeds)[0]


def test_correction_gives_no_bias_to_a_layer_without_one(case: Case) -> None:
    found = known(case, CORRECTED)
    assert [len(node.inputs) for node in found.model.graph if node.op_type == "Conv"] == [2, 3, 3]


@pytest.mark.parametrize("recipe", [RECIPE, CORRECTED], ids=["plain", "corrected"])
def test_errors_are_against_the_source(case: Case, recipe: Recipe) -> None:
    """The last layer's total error is the model's, as two files and NumPy have it."""
    last = [str(node.name) for node in prepare(case.model).graph if node.op_type == "Conv"][-1]
    total = next(error.total for error in errors_with(case, recipe) if error.node == last)
    made, source = outputs(case, recipe)
    assert total == pytest.approx(-20 * np.log10(relative_error(made, source)), abs=0.1)


def test_what_a_correction_wins_shows(case: Case) -> None:
    plain = {error.node: error.own for error in errors_with(case, RECIPE)}
    better = {error.node: error.own for error in errors_with(case, CORRECTED)}
    assert max(better[node] - own for node, own in plain.items()) > 0.5


def test_a_layer_whose_input_is_called_like_a_quantized_output(tmp_path: Path) -> None:
    text = """ clash (float[N,3,8,8] x) => (float[N,8,8,8] y) {
        h = Neg(x)
        c = Conv<pads=[1,1,1,1]>(h, v)
        y = Conv<pads=[1,1,1,1]>(c, w)
    }"""
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>{text}')
    for name, channels in {"v": 3, "w": 8}.items():
        array = rng.normal(0, 0.3, (8, channels, 3, 3)).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    # Names that copies and pairs would get.
    _rename(proto, {"h": "own:h.float", "c": "own:h.float.quantized"})
    onnx.save(proto, tmp_path / "clash.onnx")
    np.savez(tmp_path / "x.npz", x=rng.standard_normal((8, 3, 8, 8)).astype(np.float32))
    model = open_model(tmp_path / "clash.onnx")
    errors = errors_with(Case(model, dataset.read(tmp_path / "x.npz", model.inputs)), CORRECTED)
    assert len(errors) == 2
    assert all(20 < error.own < 80 for error in errors)


def _rename(proto: onnx.ModelProto, names: Mapping[str, str]) -> None:
    for node in proto.graph.node:
        for listed in (node.input, node.output):
            listed[:] = [names.get(name, name) for name in listed]


def test_a_layer_that_goes_back_to_float_gets_its_bias_back(case: Case) -> None:
    corrected = known(case, CORRECTED)
    convs = [str(node.name) for node in corrected.model.graph if node.op_type == "Conv"]
    kept = keep_in_float(corrected, convs[1:2])
    before, after, mixed = (
        {str(node.name): node for node in model.graph} for model in (corrected.reference, corrected.model, kept.model)
    )
    # The first one's integers would be what the second one reads, so it is kept, too; it has no bias at all.
    assert len(mixed[convs[0]].inputs) == 2
    np.testing.assert_array_equal(array_of(mixed[convs[1]].inputs[2]), array_of(before[convs[1]].inputs[2]))
    np.testing.assert_array_equal(array_of(mixed[convs[2]].inputs[2]), array_of(after[convs[2]].inputs[2]))
    assert array_of(after[convs[1]].inputs[2]).tolist() != array_of(before[convs[1]].inputs[2]).tolist()


def without_bias(proto: onnx.ModelProto) -> None:
    for node in proto.graph.node:
        if node.op_type == "Conv" and len(node.input) == 2:
            node.input.append("")


def computed_bias(proto: onnx.ModelProto) -> None:
    proto.graph.node.insert(0, onnx.helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0))
    proto.graph.node.insert(1, onnx.helper.make_node("Add", ["bias", "least"], ["computed"]))
    next(node for node in proto.graph.node if "bias" in node.input and node.op_type == "Conv").input[2] = "computed"


@pytest.mark.parametrize("change", [without_bias, computed_bias])
def test_layers_whose_bias_is_left_out_or_computed_go_back_too(
    case: Case, tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    proto = onnx.load(case.model.path)
    change(proto)
    onnx.save(proto, tmp_path / "m.onnx")
    corrected = known(Case(open_model(tmp_path / "m.onnx"), case.samples), CORRECTED)
    convs = {str(node.name): node for node in corrected.reference.graph if node.op_type == "Conv"}
    for node in keep_in_float(corrected, list(convs)).model.graph:
        if node.op_type == "Conv":
            before = convs[str(node.name)].inputs[2:]
            now = node.inputs[2] if len(node.inputs) > 2 else None
            if before and is_constant(before[0]):
                np.testing.assert_array_equal(array_of(now), array_of(before[0]))
            else:
                assert not is_constant(now) or not array_of(now).any()


def test_a_layer_that_repair_puts_back_gets_its_bias_back(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convs = [str(node.name) for node in prepare(case.model).graph if node.op_type == "Conv"]
    monkeypatch.setattr("toolchain.recipes.apply_recipe.make_runnable", lambda make, *_, **__: make((convs[1],)))
    made = quantize(case.model, CORRECTED, case.samples, tmp_path / "made.onnx")
    second = next(node for node in load_ir(made.path).graph if node.name == convs[1])
    bias = next(tensor for tensor in onnx.load(case.model.path).graph.initializer if tensor.name == "bias")
    np.testing.assert_array_equal(array_of(second.inputs[2]), onnx.numpy_helper.to_array(bias))


def test_a_layer_whose_error_is_beyond_float32_is_the_worst(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        large (float[N,8] x) => (float[N,8] y) { a = MatMul(x, v) y = MatMul(a, w) }"""
    )
    rng = np.random.default_rng(0)
    for name, factor in {"v": 1.0, "w": 1e22}.items():
        array = (factor * rng.normal(0, 0.3, (8, 8))).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(proto, tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=rng.standard_normal((8, 8)).astype(np.float32))
    model = open_model(tmp_path / "m.onnx")
    large = Case(model, dataset.read(tmp_path / "x.npz", model.inputs))
    first, second = sensitivity(known(large, RECIPE), RECIPE, large.samples)
    names = {str(node.outputs[0].name): str(node.name) for node in prepare(model).graph}
    assert (first, second) == (names["y"], names["a"])
    assert errors_with(large, RECIPE)[0].own == -math.inf


def test_variants_that_share_corrections_are_as_good_as_those_made_alone(case: Case, tmp_path: Path) -> None:
    convs = [str(node.name) for node in prepare(case.model).graph if node.op_type == "Conv"]
    recipe = replace(CORRECTED, keep=(convs[1],))
    alone = quantize(case.model, recipe, case.samples, tmp_path / "alone.onnx")
    shared = keep_in_float(known(case, CORRECTED), recipe.keep)
    made = quantize(case.model, recipe, case.samples, tmp_path / "shared.onnx", calibrated=shared)
    feeds = {name: array[:] for name, array in case.samples.arrays.items()}
    first, second = (exactly(model.path, feeds)[0] for model in (alone, made))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_the_order_of_layers_is_that_of_their_own_errors(case: Case) -> None:
    found = sensitivity(known(case, RECIPE), RECIPE, case.samples)
    assert found == tuple(error.node for error in errors_with(case, RECIPE))


def test_layers_whose_sizes_depend_on_the_data_are_listed(tmp_path: Path) -> None:
    """Quantized, the mask picks another number of pixels than in float."""
    text = """t (float[1,3,16,16] x) => (float[1,4] y) {
        c = Conv<pads=[1,1,1,1]>(x, w) f = Relu(c) s = Conv(f, v)
        mask = Greater(s, limit) found = NonZero(mask) ids = Transpose<perm=[1,0]>(found)
        picked = GatherND(s, ids) column = Unsqueeze(picked, one) g = Gemm(column, u, b)
        y = ReduceMax<axes=[0], keepdims=1>(g)
    }"""
    constants = {
        "w": normal(8, 3, 3, 3, scale=0.3),
        "v": normal(1, 8, 1, 1),
        "u": normal(1, 4),
        "b": normal(4),
        "limit": np.float32(0.1),
        "one": np.array([1]),
    }
    onnx.save(parse(text, constants), tmp_path / "net.onnx")
    model = open_model(tmp_path / "net.onnx")
    npz.write(tmp_path / "samples.npz", {"x": normal(16, 3, 16, 16)})
    samples = dataset.read(tmp_path / "samples.npz", model.inputs)
    errors = layer_errors(calibrate_graph(prepare(model), CORRECTED, samples), CORRECTED, samples)
    assert [error.op for error in errors].count("Conv") == 2
    assert [error.op for error in errors].count("Gemm") == 1
    assert all(error.own > 20 for error in errors)


def test_an_integer_lstm_is_listed_and_can_be_kept_where_the_runtime_has_it(tmp_path: Path) -> None:
    network = NETWORKS["LSTM"]
    onnx.save(parse(network.text, network.constants), tmp_path / "net.onnx")
    model = open_model(tmp_path / "net.onnx")
    npz.write(tmp_path / "samples.npz", network.samples)
    samples = dataset.read(tmp_path / "samples.npz", model.inputs)
    for contrib_ops, ops in ((True, {"LSTM", "MatMul"}), (False, {"MatMul"})):
        recipe = Recipe("int8", "minmax", QuantizationScheme(contrib_ops=contrib_ops))
        calibrated = calibrate_graph(prepare(model), recipe, samples)
        errors = {error.op: error for error in layer_errors(calibrated, recipe, samples)}
        assert set(errors) == ops
        assert all(15 < error.own < 90 and 15 < error.total < 90 for error in errors.values())
        kept = replace(recipe, keep=tuple(error.node for error in errors.values() if error.op == "LSTM"))
        assert {error.op for error in layer_errors(calibrated, kept, samples)} == {"MatMul"}
