"""Accuracy of int8 on real models: ours against ONNX Runtime's documented flows and NNCF, on the same samples.

    python -m benchmarks.accuracy [MODEL...] | tee benchmarks/results/accuracy.txt

A star marks ONNX Runtime's flow without the documented symbolic shape inference, which stops on some models.
Every flow runs in a process of its own, since some of them crash; a flow that fails is a row with its reason. All
files are scored by ONNX Runtime on this machine. The interval is of the difference to float32, paired by sample.
Needs `nncf` beside the development environment.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks import flows
from benchmarks.flows import Flow
from benchmarks.zoo import ZooModel
from hwbench import metrics
from hwbench.data import dataset
from hwbench.measurements import accuracy
from hwbench.measurements.accuracy import Accuracy
from runtimes import samples
from runtimes.codec import decode, encode
from runtimes.profile import QuantizationScheme
from toolchain.candidates.defaults import DEFAULT_CORRECTIONS
from toolchain.models.onnx_model import open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import BEST, Recipe

MODELS = ("efficientnet", "centerface", "ppocr", "silero", "minilm", "g2p", "esrgan")
_LIMIT_S = 1800


def main(names: list[str]) -> None:
    """Run every flow on every model and print the table."""
    print(f"{platform.machine()}, {', '.join(f'{name} {version(name)}' for name in ('onnxruntime', 'nncf', 'onnx'))}\n")
    print(f"{'model':13}{'flow':16}{'score':>9}{'drop':>9}  {'95% interval':20}{'MB':>7}{'s':>7}")
    for name in names or MODELS:
        reference = None
        for flow in FLOWS:
            row = _run_apart(name, flow)
            if "error" in row:
                print(f"{name:13}{flow:16}  failed: {row['error']}", flush=True)
                continue
            scored = decode(Accuracy, row["accuracy"], flow)
            reference = reference or scored
            drop = Accuracy(**{**vars(scored), "reference": reference}).drop()
            assert drop is not None
            interval = f"[{drop.low:+.4f}, {drop.high:+.4f}]" if flow != "float32" else ""
            figures = f"{scored.value:9.4f}{drop.value:+9.4f}  {interval:20}{row['mb']:7.2f}{row['s']:7.1f}"
            print(f"{name:13}{flow:16}{figures}", flush=True)


def _run_apart(name: str, flow: str) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.accuracy", "--one", name, flow]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"no result in {_LIMIT_S} s"}
    if done.returncode < 0:
        return {"error": f"died of signal {-done.returncode}"}
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        row: dict[str, object] = json.loads(lines[-1])
        return row
    last = [line for line in done.stderr.splitlines() if line.strip()]
    return {"error": last[-1][:160] if last else f"exit code {done.returncode}"}


def _one(name: str, flow: str) -> None:
    model: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # ONNX Runtime's tools leave files where they run
        out = Path(folder, "model.onnx")
        start = time.perf_counter()
        FLOWS[flow](model, out)
        seconds = time.perf_counter() - start
        scored = _score(model, out)
        size = out.stat().st_size / 1e6
    print(json.dumps({"accuracy": encode(scored), "mb": size, "s": seconds}))


def _score(model: ZooModel, file: Path) -> Accuracy:
    specs = open_model(model.onnx).inputs
    data = dataset.read(model.evaluation, specs, labels=True)
    assert data.labels is not None
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(file, options)
    names = [output.name for output in session.get_outputs()]
    runs = [dict(zip(names, session.run(names, feeds))) for feeds in samples.feeds(specs, data.arrays)]
    outputs = samples.gather(runs, samples.batch_size(specs, data.arrays))
    return accuracy.evaluate(metrics.load(model.metric), outputs, data.labels)


def _ours(precision: str) -> Flow:
    def flow(model: ZooModel, out: Path) -> None:
        source = open_model(model.onnx)
        static = precision == "int8"
        recipe = Recipe(
            precision,
            BEST if static else None,
            QuantizationScheme("uint8", contrib_ops=True),
            corrections=DEFAULT_CORRECTIONS if static else (),
        )
        quantize(source, recipe, dataset.read(model.calibration, source.inputs), out)

    return flow


FLOWS: dict[str, Flow] = {
    "float32": flows.float32,
    "ours int8": _ours("int8"),
    "ours dynamic": _ours("int8-dynamic"),
    "ours storage": _ours("int8-storage"),
    "ORT static": flows.ort_static(shapes=True),
    "ORT static*": flows.ort_static(shapes=False),
    "ORT dynamic": flows.ort_dynamic(shapes=True),
    "ORT dynamic*": flows.ort_dynamic(shapes=False),
    "NNCF": flows.nncf,
}

if __name__ == "__main__":
    np.seterr(all="ignore")
    if sys.argv[1:2] == ["--one"]:
        _one(*sys.argv[2:4])
    else:
        main(sys.argv[1:])
