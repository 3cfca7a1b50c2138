"""Artifacts made once, and the facts known of each."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import tiny_models
from variants import normal, parse

from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import UsageError
from toolchain.candidates.build_candidate import CandidateBuilder
from toolchain.candidates.candidate import Candidate
from toolchain.graphs.edits import Edits, array_of
from toolchain.models.onnx_model import open_model
from toolchain.recipes.recipe import Recipe


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
