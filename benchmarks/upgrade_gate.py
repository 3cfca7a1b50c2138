"""Verdicts of the upgrade gate on real models: one bundle under two interpreters, whose ONNX Runtimes differ.

    python -m benchmarks.upgrade_gate OLD/bin/python [MODEL...] | tee benchmarks/results/upgrade_gate.txt

Each model is gated as `edgewright gate BUNDLE --baseline-python OLD/bin/python --budget 'p50<=+5%' --max-time 20s`
does, in float32 and in int8. A negative change means that the newer version is faster. The error is that of the worst
output on the golden samples, ||y - baseline|| / ||baseline||.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks import latency_models
from benchmarks.zoo import ZooModel
from hwbench.budgets.budget import parse
from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from hwbench.formats.sections.provenance import describe
from hwbench.gate.gate import GatePlan, gate_bundle
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.measurements import interleaved
from hwbench.results.opened_bundle import open_bundle
from hwbench.targets.local import LocalTarget
from hwbench.targets.other_python import OtherPython
from runtimes import npz
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.verification.golden import largest_error, relative_error
from toolchain.candidates.build_candidate import BuiltCandidate, CandidateBuilder
from toolchain.candidates.candidate import list_candidates
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

MODELS = (*latency_models.NAMES, "efficientnet", "centerface", "ppocr", "silero", "minilm")
BUDGET = "p50<=+5%"
MAX_TIME_S = 20.0
_PRECISIONS = ("fp32", "int8")
_CALIBRATION, _GOLDEN = 16, 4


def main(python: Path, names: Sequence[str]) -> None:
    """Gate every model and print a row for each."""
    asked = [str(python), "-c", "import numpy, onnxruntime; print(onnxruntime.__version__, numpy.__version__)"]
    old = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    print(describe(this_machine()))
    print(f"onnxruntime {version('onnxruntime')} against {old[0]}, numpy {version('numpy')} against {old[1]}")
    print(f"{BUDGET}, at most {MAX_TIME_S:g} s a gate\n")
    heads = f"{'model':14}{'precision':11}{'verdict':>14}{'change of p50':>15}{'interval':>20}"
    print(f"{heads}{'rounds':>8}{'s':>6}{'worst error':>13}")
    there = OtherPython(python=python.absolute())
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for precision, bundle in _bundles(name, Path(folder)):
                print(f"{name:14}{precision:11}{_row(bundle, there)}", flush=True)


def _bundles(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    model: ZooModel
    if name in latency_models.NAMES:
        model = latency_models.prepare(name, folder)
    else:
        model = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    source = open_model(model.onnx)
    data = dataset.read(model.calibration, source.inputs)
    data = interleaved.subset(data, range(min(_CALIBRATION, data.n)), folder / "few.npz")
    builder = CandidateBuilder(name, source, data, folder)
    profile = device_profiles.detect(this_machine())
    listed = list_candidates(profile, _PRECISIONS, threads=1, corrections=())
    by_name = {one.name: one for one in listed if one.refusal is None}
    for precision in _PRECISIONS:
        candidate = by_name[f"{precision} (onnxruntime)"]
        made = builder.make(candidate, profile)
        yield precision, _with_golden_samples(name, made, candidate.recipe, data, profile, folder / f"{precision}.edge")


def _with_golden_samples(
    name: str, made: BuiltCandidate, recipe: Recipe, data: Dataset, profile: HardwareProfile, out: Path
) -> Path:
    golden = interleaved.subset(data, range(_GOLDEN), out.with_suffix(".npz"))
    outputs = interleaved.outputs(made.bundle, golden.file, LocalTarget())
    inputs = {key: array[:] for key, array in golden.arrays.items()}
    pack(Contents(name, profile, made.artifact, recipe, inputs, outputs), out)
    return out


def _row(bundle: Path, there: OtherPython) -> str:
    start = time.monotonic()
    try:
        plan = GatePlan(max_time_s=MAX_TIME_S)
        gated = gate_bundle(bundle, bundle, [parse(BUDGET)], LocalTarget(), plan, lambda _: None, baseline_target=there)
        error = _error(bundle, there)
    except EdgewrightError as refusal:
        return f"{'error':>14}  {str(refusal)[:100]}"
    (verdict,) = gated.verdicts
    seconds, rounds = time.monotonic() - start, len(gated.candidate.latency.blocks) if gated.candidate.latency else 0
    change = f"{verdict.measured.value:+.1%}" if verdict.measured else "-"
    interval = f"{verdict.measured.low:+.1%} to {verdict.measured.high:+.1%}" if verdict.measured else "-"
    return f"{verdict.outcome:>14}{change:>15}{interval:>20}{rounds:>8}{seconds:>6.0f}{error:>13.1e}"


def _error(bundle: Path, there: OtherPython) -> float:
    with tempfile.TemporaryDirectory() as work:
        inputs = Path(work, "inputs.npz")
        npz.write(inputs, open_bundle(bundle).inputs)
        ours, theirs = (interleaved.outputs(bundle, inputs, target) for target in (LocalTarget(), there))
    return float(np.max([largest_error(relative_error, ours[name], theirs[name]) for name in ours]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or MODELS)
