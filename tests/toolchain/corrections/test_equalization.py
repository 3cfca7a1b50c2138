"""Cross-layer equalisation, on networks whose channels differ a hundredfold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from correction_models import Case

from runtimes.profile import QuantizationScheme
from runtimes.verification.golden import relative_error
from toolchain.graphs.edits import array_of
from toolchain.models.onnx_model import CORRECTIONS_KEY
from toolchain.models.prepare import prepare
from toolchain.recipes.recipe import Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

PER_TENSOR = Recipe("int8", "minmax", QuantizationScheme("uint8", per_channel=False))
PER_CHANNEL = Recipe("int8", "minmax", QuantizationScheme("uint8"))
SYMMETRIC = Recipe("int8", "minmax", QuantizationScheme("int8", symmetric=True, quantize_bias=False))


def uneven(folder: Path, clamp: str = "Relu(a)") -> Case:
    """Conv, depthwise Conv, Conv; what the first writes is a hundred times larger in some channels than in others."""
    text = f"""uneven (float[N,3,8,8] x) => (float[N,6,8,8] y) {{
        a = Conv<pads=[1,1,1,1]>(x, first, bias)
        b = {clamp}
        c = Conv<pads=[1,1,1,1], group=16>(b, second)
        d = Relu(c)
        y = Conv(d, third)
    }}"""
    rng = np.random.default_rng(0)
    sizes = np.logspace(0, 2, 16)[:, None, None, None]
    constants = {
        "first": rng.normal(0, 0.3, (16, 3, 3, 3)) * sizes,
        "bias": rng.normal(0, 0.3, 16) * sizes.ravel(),
        "second": rng.normal(0, 0.3, (16, 1, 3, 3)),
        "third": rng.normal(0, 0.3, (6, 16, 1, 1)) / sizes.reshape(1, 16, 1, 1),
        "zero": np.array(0.0),
        "six": np.array(6.0),
    }
    used = {name: array for name, array in constants.items() if name not in ("zero", "six") or name in clamp}
    return Case.of(folder, text, used, {"x": rng.standard_normal((16, 3, 8, 8)).astype(np.float32)})


@pytest.mark.parametrize("recipe", [PER_TENSOR, PER_CHANNEL, SYMMETRIC], ids=["per-tensor", "per-channel", "tensorrt"])
def test_channels_of_unlike_ranges_stop_costing_accuracy(tmp_path: Path, recipe: Recipe) -> None:
    case = uneven(tmp_path)
    assert case.decibels(replace(recipe, corrections=("equalization",))) > case.decibels(recipe) + 10


def test_the_float_function_stays(tmp_path: Path) -> None:
    case = uneven(tmp_path)
    equalized = case.corrected(replace(PER_TENSOR, corrections=("equalization",)))
    assert relative_error(case.run(equalized), case.run(prepare(case.model))) < 1e-5


def test_spans_become_alike(tmp_path: Path) -> None:
    """The ratio of the widest channel of the first Conv's output to the narrowest, computed by NumPy."""
    case = uneven(tmp_path)
    recipe = replace(PER_TENSOR, corrections=("equalization",))
    assert spread(case, case.corrected(recipe)) < spread(case, prepare(case.model)) / 4


def spread(case: Case, model: ir.Model) -> float:
    written = next(node for node in model.graph if node.op_type == "Relu").outputs[0]
    model = model.clone()
    model.graph.outputs[:] = [value for node in model.graph for value in node.outputs if value.name == written.name]
    highest = case.run(model).reshape(-1, 16, 8, 8).max(axis=(0, 2, 3))
    return float(highest.max() / highest.min())


def test_what_six_clips_stays(tmp_path: Path) -> None:
    case = uneven(tmp_path, "Clip(a, zero, six)")
    recipe = replace(PER_TENSOR, corrections=("equalization",))
    equalized = case.corrected(recipe)
    first = next(node for node in equalized.graph if node.op_type == "Conv")
    original = next(node for node in prepare(case.model).graph if node.op_type == "Conv")
    for made, expected in zip(first.inputs[1:], original.inputs[1:]):
        assert np.array_equal(array_of(made), array_of(expected))
    assert relative_error(case.run(equalized), case.run(prepare(case.model))) < 1e-5


def test_the_file_says_what_was_done(tmp_path: Path) -> None:
    case = uneven(tmp_path)
    made = ir.load(case.quantized(replace(PER_CHANNEL, corrections=("equalization", "bias"))).path)
    assert made.metadata_props[CORRECTIONS_KEY] == "equalization 3, bias 1"  # of three layers, one has a bias


def test_what_is_even_already_stays(tmp_path: Path) -> None:
    text = """even (float[N,8,8,8] x) => (float[N,8,8,8] y) {
        a = Conv(x, w)
        b = Relu(a)
        y = Conv(b, v)
    }"""
    kernels = {name: np.eye(8).reshape(8, 8, 1, 1) for name in "wv"}
    pictures = np.random.default_rng(0).standard_normal((32, 1, 8, 8)).repeat(8, axis=1)
    case = Case.of(tmp_path, text, kernels, {"x": pictures.astype(np.float32)})
    done = case.corrected(replace(PER_CHANNEL, corrections=("equalization",))).metadata_props[CORRECTIONS_KEY]
    assert done == "equalization 0"
