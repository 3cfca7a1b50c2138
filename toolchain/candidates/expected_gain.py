"""Expected gain of candidates: a guess of their latency, before anything is known of them on this model.

It decides only what comes first. Without a time limit everything is made and measured in any case; under one, what is
most likely to win has to come before the time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from toolchain.candidates.candidate import Candidate

# Guesses, of which only the order counts: shares of float32's latency on the same runtime. The medians of peers in
# benchmarks/results/peers.txt are 0.74 for NNCF's int8 on OpenVINO (18 runs), and 0.50 for OpenVINO beside ONNX
# Runtime, both in float32 (20 runs). Storage forms compute in float32, so that they can only tie with it.
_PRECISIONS = {"int8": 0.5, "bf16": 0.7, "fp16": 0.7, "int8-dynamic": 0.8}
_STORED = 1.2
_RUNTIMES = {"tensorrt": 0.2, "tensorrt_rtx": 0.2, "openvino": 0.6}  # of ONNX Runtime's


def by_gain_per_cost(candidates: Iterable[Candidate], is_source: Callable[[Candidate], bool]) -> list[Candidate]:
    """Order candidates to be made: the source, what needs no calibration and may be faster, int8, and storage last.

    Calibration and corrections take longer than to make and measure all that need none.
    """

    def key(candidate: Candidate) -> tuple[bool, bool, bool, float]:
        return not is_source(candidate), only_stores(candidate), _is_calibrated(candidate), expected_latency(candidate)

    return sorted(candidates, key=key)


def by_gain(candidates: Iterable[Candidate], is_source: Callable[[Candidate], bool]) -> list[Candidate]:
    """Order candidates to be measured: the source, with which all are compared, then the fastest by expectation."""
    return sorted(candidates, key=lambda candidate: (not is_source(candidate), expected_latency(candidate)))


def expected_latency(candidate: Candidate) -> float:
    """Guess a candidate's latency as a share of that of float32 on ONNX Runtime."""
    recipe = candidate.recipe
    computed = recipe.keep_in if recipe.precision.endswith("-storage") else recipe.precision
    share = _STORED if only_stores(candidate) else _PRECISIONS.get(computed, 1.0)
    return share * _RUNTIMES.get(candidate.runtime, 1.0)


def only_stores(candidate: Candidate) -> bool:
    """Tell whether a precision only makes the file smaller, and the runtime computes in float32."""
    return candidate.recipe.precision.endswith("-storage") and candidate.recipe.keep_in == "fp32"


def _is_calibrated(candidate: Candidate) -> bool:
    return candidate.recipe.calibration is not None
