"""Trials as a search would have them, without a model behind them."""

from __future__ import annotations

from pathlib import Path

from hwbench.measurements.accuracy import Accuracy
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.sampling.closed_loop import Block
from toolchain.candidates.candidate import Candidate
from toolchain.recipes.recipe import Recipe
from toolchain.search.trials import Trial

_NAMES = ("fp32", "int8", "fp16", "bf16", "fp16-storage", "bf16-storage", "int8-dynamic")


def trial(number: int, ms: float | None = None, score: float = 1.0, **changes) -> Trial:
    """The number-th candidate; number 0 is the source. `ms` is the median that screening found."""
    recipe = Recipe(_NAMES[number % 7], keep=tuple(f"node_{n}" for n in range(number // 7)))
    candidate = Candidate(recipe, "onnxruntime", RuntimeSettings())
    artifact = Artifact(Path("m"), "onnxruntime", recipe.precision, (), (), RuntimeSettings(), "", 1, {})
    ranked = Accuracy("parity", True, 1, score, scores=(score,))
    blocks = () if ms is None else (block(ms),)
    return Trial(candidate, artifact=artifact, ranked=ranked, blocks=blocks, is_source=number == 0, **changes)


def block(ms: float) -> Block:
    return Block((int(ms * 1e6),) * 10, (), True, 1, 1, 0, None, None)
