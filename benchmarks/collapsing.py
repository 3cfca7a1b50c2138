"""A model whose int8 collapses: how many evaluations bring it back within its accuracy budget, and how fast it then is.

    python -m benchmarks.collapsing | tee benchmarks/results/collapsing.txt

A chain of products, one of whose channels is 3,000 times the others: rescaled, so that float32 computes what it did,
while int8 has no steps left for the rest. Its own decisions in float32 are the labels. Equalisation alone would bring
it back, so bias correction is the only one that is allowed.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from hwbench.budgets.budget import parse
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.results.profile_results import CandidateResult
from toolchain.pipeline.build import build
from toolchain.pipeline.request import BuildRequest

LAYERS = 9
_INPUTS, _CLASSES = 64, 10
_EVALUATION, _CALIBRATION = 600, 128
_OUTLIER, _LAYER = 3000.0, 3
_WIDTH = 768
_BUDGET = "accuracy_drop<=0.05"


def write(folder: Path, width: int) -> tuple[Path, Path, Path]:
    """Write the model, its calibration and its labelled evaluation samples.

    Args:
        folder: where to.
        width: of the layers between the first and the last.
    """
    rng = np.random.default_rng(0)
    sizes = [_INPUTS, *[width] * (LAYERS - 1), _CLASSES]
    weights = [rng.normal(0, (2 / n) ** 0.5, (n, m)).astype(np.float32) for n, m in itertools.pairwise(sizes)]
    weights[_LAYER][:, 0] *= _OUTLIER
    weights[_LAYER + 1][0] /= _OUTLIER
    nodes, value = [], "x"
    for number in range(LAYERS):
        last = number == LAYERS - 1
        nodes.append(
            helper.make_node("MatMul", [value, f"w{number}"], ["y" if last else f"m{number}"], f"layer{number}")
        )
        if not last:
            nodes.append(helper.make_node("Relu", [f"m{number}"], [f"r{number}"], f"relu{number}"))
        value = f"r{number}"
    constants = [numpy_helper.from_array(weight, f"w{number}") for number, weight in enumerate(weights)]
    ends = [helper.make_tensor_value_info(*spec) for spec in (("x", 1, ["N", _INPUTS]), ("y", 1, ["N", _CLASSES]))]
    graph = helper.make_graph(nodes, "collapsing", ends[:1], ends[1:], constants)
    model, calibration, evaluation = (folder / name for name in ("m.onnx", "c.npz", "e.npz"))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    x = rng.standard_normal((_EVALUATION + _CALIBRATION, _INPUTS)).astype(np.float32)
    (y,) = ort.InferenceSession(model).run(None, {"x": x})
    np.savez(calibration, x=x[_EVALUATION:])
    np.savez(evaluation, x=x[:_EVALUATION], labels=y[:_EVALUATION].argmax(1))
    return model, calibration, evaluation


def main() -> None:
    """Build it for this machine, and print what came of each candidate that was scored."""
    machine = this_machine()
    print(f"{machine.cpu}, 1 thread, {LAYERS} layers of width {_WIDTH}, {_BUDGET}\n")
    with tempfile.TemporaryDirectory() as folder:
        model, calibration, evaluation = write(Path(folder), _WIDTH)
        Path(folder, "out").mkdir()
        request = BuildRequest(
            *(str(model), "collapsing", Path(folder, "out"), (device_profiles.detect(machine),)),
            calibration=calibration,
            evaluation=evaluation,
            precisions=("fp32", "int8"),
            corrections=("bias",),
            budgets=(parse(_BUDGET),),
            threads=1,
        )
        (found,) = build(request).profiles
    scored = [entry for entry in found.candidates if entry.report is not None and entry.report.accuracy is not None]
    for entry in scored:
        print(f"{entry.name:44}{_score(entry):>8}{_p50(entry):>11}  {entry.status:8} {entry.reason}")
    for runtime in dict.fromkeys(entry.runtime for entry in scored if entry.recipe.get("keep")):
        mixed = [entry for entry in scored if entry.runtime == runtime and entry.recipe.get("keep")]
        print(f"\n{runtime}: {1 + len(mixed)} evaluations, of int8 and of what keeps some layers; ", end="")
        print(f"at most {2 + math.log2(LAYERS):.1f} are allowed")


def _score(entry: CandidateResult) -> str:
    assert entry.report is not None and entry.report.accuracy is not None
    return f"{entry.report.accuracy.value:.4f}"


def _p50(entry: CandidateResult) -> str:
    latency = entry.report.latency if entry.report is not None else None
    return f"{latency.percentile(50).value:.3f} ms" if latency is not None else "not timed"


if __name__ == "__main__":
    main()
