"""Artifacts made once, and the facts known of each."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import tiny_models
from correction_models import Case
from variants import normal, parse

from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate
from toolchain.graphs.edits import Edits, array_of
from toolchain.models.onnx_model import load_ir, open_model
from toolchain.recipes import draft
from toolchain.recipes.recipe import BEST, Recipe


def test_what_mending_left_is_known_of_every_candidate_that_has_the_file(tmp_path, monkeypatch):
    def defective(model, recipe, ranges):
        """Forgets to cast what the weights are multiplied with."""
        edits = Edits(model.graph)
        for node in model.graph:
            if node.op_type in ("Conv", "Gemm") and node.name not in recipe.keep:
                node.replace_input_with(1, edits.constant("half", array_of(node.inputs[1]).astype(np.float16)))
        return model

    monkeypatch.setattr("toolchain.quantizers.bf16_storage.quantize", defective)
    builder = CandidateBuilder("m", open_model(tiny_models.conv(tmp_path / "m.onnx")), None, tmp_path)
    told = Recipe("bf16-storage", keep_in="bf16")
    assert builder.kept(told) == ()
    made = builder.variant(told)
    assert builder.kept(told) == builder.kept(Recipe("bf16-storage")) == made.kept != ()


@pytest.mark.parametrize("precision", ["int8-storage", "fp16-storage", "bf16-storage"])
def test_a_storage_precision_never_makes_a_file_larger(tmp_path, device, precision):
    """In half precision already, or with weights so small that the nodes that restore them take more."""
    small = parse(
        "t (float16[N,16] x) => (float16[N,16] y) { a = MatMul(x, w) b = Relu(a) y = MatMul(b, v) }",
        {name: normal(16, 16, seed)[..., 0].astype(np.float16) for seed, name in enumerate("wv", 1)},
    )
    onnx.save(small, tmp_path / "m.onnx")
    builder = CandidateBuilder("m", open_model(tmp_path / "m.onnx"), None, tmp_path)
    builder.make(Candidate(builder.as_is, "onnxruntime", RuntimeSettings(1)), device)
    with pytest.raises(UsageError, match=f"{precision} would make the file larger"):
        builder.make(Candidate(Recipe(precision), "onnxruntime", RuntimeSettings(1)), device)


def test_a_draft_has_the_nodes_of_what_ships_and_other_constants(tmp_path, device, one_process, monkeypatch):
    monkeypatch.setattr(draft, "MIN_WEIGHT_BYTES", 0)
    x = np.random.default_rng(0).standard_normal((40, 64)).astype(np.float32)
    text = "dense (float[N,64] x) => (float[N,16] y) { y = MatMul(x, w) }"
    case = Case.of(tmp_path, text, {"w": np.random.default_rng(1).standard_normal((64, 16))}, {"x": x})
    builder = CandidateBuilder("m", case.model, case.samples, tmp_path)
    recipe = Recipe("int8", BEST, QuantizationScheme("uint8"), corrections=("rounding",))
    assert builder.has_draft(recipe)
    candidate = Candidate(recipe, "onnxruntime", RuntimeSettings(1))
    models = [load_ir(make(candidate, device).artifact.file) for make in (builder.make_draft, builder.make)]
    operators = [[node.op_type for node in model.graph] for model in models]
    assert operators[0] == operators[1]
    weights = [[value.const_value.numpy() for value in model.graph.initializers.values()] for model in models]
    assert not all(map(np.array_equal, *weights))
    assert not builder.has_draft(recipe)  # what is made already is no sooner made as a draft


def test_a_small_model_and_one_that_is_not_fitted_have_no_draft(tmp_path):
    x = np.zeros((4, 64), np.float32)
    text = "dense (float[N,64] x) => (float[N,16] y) { y = MatMul(x, w) }"
    case = Case.of(tmp_path, text, {"w": np.ones((64, 16))}, {"x": x})
    builder = CandidateBuilder("m", case.model, case.samples, tmp_path)
    recipe = Recipe("int8", BEST, QuantizationScheme("uint8"), corrections=("rounding",))
    assert not builder.has_draft(recipe)
    assert draft.draft_of(Recipe("int8-dynamic"), load_ir(case.model.path)) is None
