"""Recipes for several runtimes, and the calibrated graphs that they share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from correction_models import Case

from runtimes.profile import QuantizationScheme
from toolchain.candidates import build_candidate
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.models.prepare import prepare
from toolchain.recipes.apply_recipe import calibration_key
from toolchain.recipes.recipe import BEST, Recipe

pytestmark = [pytest.mark.int8, pytest.mark.usefixtures("one_process")]

FOR_ONNXRUNTIME = Recipe("int8", BEST, QuantizationScheme("uint8", contrib_ops=True), corrections=("rounding",))
FOR_OPENVINO = replace(FOR_ONNXRUNTIME, scheme=QuantizationScheme("uint8"), for_runtime="openvino")

DENSE = "dense (float[N,64] x) => (float[N,16] y) { h = MatMul(x, w)  y = Relu(h) }"
MAXIMUM = "most (float[N,4,64] x) => (float[N,16] y) { m = ReduceMax<axes=[1], keepdims=0>(x)  y = MatMul(m, w) }"
LSTM = """lstm (float[8,N,64] x) => (float[8,1,N,64] s, float[8,1,N,16] y) {
    s = LSTM<hidden_size=64>(x, a, r)  y = MatMul(s, w)
}"""


def case(folder: Path, text: str, shape: tuple[int, ...]) -> Case:
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((64, 16))}
    if text == LSTM:
        constants.update({name: 0.1 * rng.standard_normal((1, 256, 64)) for name in "ar"})
    return Case.of(folder, text, constants, {"x": rng.standard_normal(shape).astype(np.float32)})


@pytest.mark.parametrize(
    ("text", "shape", "shared"),
    [
        pytest.param(DENSE, (16, 64), True, id="nothing-that-a-runtime-has-its-own-way-with"),
        pytest.param(MAXIMUM, (16, 4, 64), False, id="a-place-that-openvino-computes-wrongly"),
        pytest.param(LSTM, (8, 8, 1, 64), False, id="an-integer-lstm"),
    ],
)
def test_runtimes_share_what_is_the_same_for_both(tmp_path: Path, text: str, shape: tuple[int, ...], shared: bool):
    pytest.importorskip("openvino")
    graph = prepare(case(tmp_path, text, shape).model)
    assert (calibration_key(graph, FOR_ONNXRUNTIME) == calibration_key(graph, FOR_OPENVINO)) == shared
    assert calibration_key(graph, FOR_OPENVINO) != calibration_key(graph, replace(FOR_OPENVINO, calibration="minmax"))


def test_what_is_shared_is_made_once_and_gives_each_the_file_it_would_have_alone(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("openvino")
    made = case(tmp_path, DENSE, (16, 64))
    calls: list[Recipe] = []
    original = build_candidate.calibrate_graph

    def counted(graph, recipe, *others):
        calls.append(recipe)
        return original(graph, recipe, *others)

    monkeypatch.setattr(build_candidate, "calibrate_graph", counted)

    def builder(name: str) -> CandidateBuilder:
        (tmp_path / name).mkdir()
        return CandidateBuilder("m", made.model, made.samples, tmp_path / name)

    together, alone = builder("together"), builder("alone")
    first, second = (together.variant(recipe).path.read_bytes() for recipe in (FOR_ONNXRUNTIME, FOR_OPENVINO))
    assert len(calls) == 1
    assert alone.variant(FOR_OPENVINO).path.read_bytes() == second
    assert builder("other").variant(FOR_ONNXRUNTIME).path.read_bytes() == first
