"""What each correction recovers on real models: int8's score and its distance to float32, corrections off and on.

    python -m benchmarks.corrections [MODEL...] | tee benchmarks/results/corrections.txt

All rows of a model come from one process, the same calibration samples and one machine; files are scored by ONNX
Runtime on one thread. SQNR is of the model's first output, over all evaluation samples, in dB: 6 dB more is half the
error. Where labels are few, it tells corrections apart that the score cannot. The latency is the median of the scoring
runs: a hint of what a correction costs, not a measurement to gate on. Behind each correction stands how many operators
it changed; ranges are chosen by minmax, or per tensor by the least squared error.
"""

from __future__ import annotations

import importlib
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks.zoo import ZooModel
from hwbench import metrics
from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from hwbench.measurements import accuracy
from runtimes import samples
from runtimes.errors import EdgewrightError
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.candidates.defaults import DEFAULT_CALIBRATION, DEFAULT_CORRECTIONS
from toolchain.models.onnx_model import CORRECTIONS_KEY, load_ir, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

MODELS = ("efficientnet", "centerface", "ppocr", "silero", "minilm", "g2p", "esrgan")
ALL = ("equalization", "smoothing", "tail", "bias")
CHOICES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("minmax", ()),
    ("minmax", ("bias",)),
    ("minmax", ("tail", "bias")),
    ("minmax", ("equalization", "bias")),
    ("minmax", ("smoothing", "bias")),
    ("minmax", ALL),
    ("mse", ALL),
)


def main(names: list[str]) -> None:
    """Run every choice of corrections on every model and print the table."""
    print(f"{platform.machine()}, onnxruntime {version('onnxruntime')}, one thread")
    print(f"default: {DEFAULT_CALIBRATION}; {', '.join(DEFAULT_CORRECTIONS)}\n")
    print(f"{'model':13}{'score':>9}{'drop':>9}{'SQNR':>7}{'ms':>8}{'s':>7}  {'ranges':8}corrections")
    for name in names or MODELS:
        model: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
        _compare(model)


def _compare(model: ZooModel) -> None:
    source = open_model(model.onnx)
    calibration = dataset.read(model.calibration, source.inputs)
    evaluation = dataset.read(model.evaluation, source.inputs, labels=True)
    outputs, milliseconds = _run(model.onnx, evaluation)
    reference, score = outputs, _score(model, outputs, evaluation)
    print(f"{model.name:13}{score:9.4f}{0:+9.4f}{'':7}{milliseconds:8.2f}{'':7}  {'':8}float32", flush=True)
    for method, corrections in CHOICES:
        recipe = Recipe("int8", method, QuantizationScheme("uint8"), corrections=corrections)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            try:
                made = quantize(source, recipe, calibration, Path(folder, "int8.onnx"))
            except EdgewrightError as error:
                print(f"{model.name:13}{error}", flush=True)
                return
            seconds = time.perf_counter() - start
            outputs, milliseconds = _run(made.path, evaluation)
            done = load_ir(made.path).metadata_props.get(CORRECTIONS_KEY, "none")
        value = _score(model, outputs, evaluation)
        figures = f"{value:9.4f}{_drop(model, score, value):+9.4f}{_sqnr(outputs, reference):7.1f}"
        print(f"{model.name:13}{figures}{milliseconds:8.2f}{seconds:7.1f}  {method:8}{done}", flush=True)


def _run(file: Path, data: Dataset) -> tuple[dict[str, Array], float]:
    """All outputs, and the median time of an inference in ms."""
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = ort.InferenceSession(file, options)
    names = [output.name for output in session.get_outputs()]
    specs, runs, times = open_model(file).inputs, [], []
    for feeds in samples.feeds(specs, data.arrays):
        start = time.perf_counter()
        runs.append(dict(zip(names, session.run(names, feeds))))
        times.append(time.perf_counter() - start)
    return samples.gather(runs, samples.batch_size(specs, data.arrays)), float(np.median(times)) * 1e3


def _score(model: ZooModel, outputs: dict[str, Array], data: Dataset) -> float:
    assert data.labels is not None
    return accuracy.evaluate(metrics.load(model.metric), outputs, data.labels).value


def _drop(model: ZooModel, before: float, after: float) -> float:
    return before - after if metrics.load(model.metric).higher_is_better else after - before


def _sqnr(outputs: dict[str, Array], reference: dict[str, Array]) -> float:
    name = next(iter(reference))
    signal = reference[name].astype(np.float64)
    noise = ((outputs[name] - signal) ** 2).sum()
    return float(10 * np.log10((signal**2).sum() / noise)) if noise else float("inf")


if __name__ == "__main__":
    np.seterr(all="ignore")
    main(sys.argv[1:])
