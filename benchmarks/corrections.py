"""Compare int8's score and its distance to float32 with each correction on and off, on real models.

    python -m benchmarks.corrections [MODEL...] | tee benchmarks/results/corrections.txt
    python -m benchmarks.corrections minilm --scheme AVX2 --choice 0 --choice 5

All rows of a model come from one process, the same calibration samples and one machine. Outputs are computed in exact
arithmetic, as the graph is written, and so alike on every CPU. `scheme` is the layout of integers: 8 bits, what cannot
saturate with AVX2, or TensorRT's symmetric activations. `gain` is the score's gain over the first row of its scheme
(the float tail alone), paired by sample, with its 95% confidence interval; a higher value is better, whatever the
metric. SQNR is the signal-to-quantization-noise ratio of the model's first output, in dB, on average over the
evaluation samples: 6 dB more is half the error. Where labels are few, it separates corrections that the score cannot.
`s` is the CPU time that quantizing took. The last column has the method of the ranges, and by correction the number of
operators that it changed; 0 may mean that it was left out, since it raised the error of the whole.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import platform
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks.zoo import ZooModel
from hwbench import metrics
from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from hwbench.measurements import accuracy
from hwbench.measurements.accuracy import Accuracy
from runtimes import samples
from runtimes.errors import EdgewrightError
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain.candidates.defaults import DEFAULT_CORRECTIONS
from toolchain.models import ort_session
from toolchain.models.onnx_model import CALIBRATION_KEY, CORRECTIONS_KEY, load_ir, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import BEST, Recipe

MODELS = ("centerface", "g2p", "esrgan", "ppocr", "efficientnet", "minilm")
CHOICES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("minmax", ("tail",)),
    ("minmax", ("tail", "bias")),
    ("minmax", ("tail", "rounding")),
    ("minmax", DEFAULT_CORRECTIONS),
    (BEST, ("tail",)),
    (BEST, DEFAULT_CORRECTIONS),
)
SCHEMES = {
    "8 bits": Recipe("int8", scheme=QuantizationScheme("uint8")),
    "AVX2": Recipe("int8", scheme=QuantizationScheme("uint8", reduce_range=True)),
    "TensorRT": Recipe(
        "int8",
        scheme=QuantizationScheme("int8", symmetric=True, quantize_bias=False, integer_constants=False),
        for_runtime="tensorrt",
    ),
}


def main() -> None:
    """Run every choice of corrections on every model and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corrections")
    parser.add_argument("names", nargs="*", metavar="MODEL", default=MODELS)
    parser.add_argument("--scheme", choices=SCHEMES, action="append", help="all by default")
    parser.add_argument("--choice", type=int, action="append", help="number of a choice, from 0; all by default")
    asked = parser.parse_args()
    print(f"{platform.machine()}, onnxruntime {version('onnxruntime')}, exact arithmetic")
    print(f"default: {BEST}; {', '.join(DEFAULT_CORRECTIONS)}\n")
    figures = f"{'score':>9}{'drop':>9}{'gain':>9}  {'95% interval':20}{'SQNR':>6}{'s':>7}"
    print(f"{'model':13}{'scheme':10}{figures}  corrections")
    choices = [CHOICES[number] for number in asked.choice or range(len(CHOICES))]
    for name in asked.names:
        model: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
        _compare(model, asked.scheme or list(SCHEMES), choices)


def _compare(model: ZooModel, schemes: Sequence[str], choices: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    source = open_model(model.onnx)
    calibration = dataset.read(model.calibration, source.inputs)
    evaluation = dataset.read(model.evaluation, source.inputs, labels=True)
    reference = _run(ort_session.session(model.onnx), evaluation)
    before = _score(model, reference, evaluation)
    print(f"{model.name:13}{'':10}{before.value:9.4f}{0:+9.4f}{'':44}  float32", flush=True)
    for scheme in schemes:
        first = None
        for method, corrections in choices:
            recipe = dataclasses.replace(SCHEMES[scheme], calibration=method, corrections=corrections)
            with tempfile.TemporaryDirectory() as folder:
                start = time.process_time()
                try:
                    made = quantize(source, recipe, calibration, Path(folder, "int8.onnx"))
                except EdgewrightError as error:
                    print(f"{model.name:13}{error}", flush=True)
                    return
                seconds = time.process_time() - start
                outputs = _run(ort_session.exact_session(made.path), evaluation)
                notes = load_ir(made.path).metadata_props
                done = f"{notes[CALIBRATION_KEY]}; {notes[CORRECTIONS_KEY]}"
            scored = _score(model, outputs, evaluation)
            first = first or scored
            figures = f"{scored.value:9.4f}{_drop(scored, before):+z9.4f}{_gain(scored, first):31}"
            print(
                f"{model.name:13}{scheme:10}{figures}{_sqnr(outputs, reference):6.1f}{seconds:7.1f}  {done}", flush=True
            )


def _run(session: ort.InferenceSession, data: Dataset) -> dict[str, Array]:
    names = [output.name for output in session.get_outputs()]
    runs = [dict(zip(names, outputs)) for _, outputs in ort_session.over_samples(session, data)]
    return samples.gather(runs, data.batch_size)


def _score(model: ZooModel, outputs: dict[str, Array], data: Dataset) -> Accuracy:
    assert data.labels is not None
    return accuracy.evaluate(metrics.load(model.metric), outputs, data.labels)


def _drop(scored: Accuracy, reference: Accuracy) -> float:
    drop = dataclasses.replace(scored, reference=reference).drop()
    assert drop is not None
    return drop.value


def _gain(scored: Accuracy, first: Accuracy) -> str:
    drop = dataclasses.replace(scored, reference=first).drop()
    assert drop is not None
    interval = f"[{-drop.high:+z.4f}, {-drop.low:+z.4f}]"
    return f"{-drop.value:+z9.4f}  {interval:20}"


def _sqnr(outputs: dict[str, Array], reference: dict[str, Array]) -> float:
    """Return the mean over the samples of the first output's signal-to-noise ratio, in dB."""
    name = next(iter(reference))
    signal = reference[name].astype(np.float64).reshape(len(reference[name]), -1)
    noise = ((outputs[name].reshape(signal.shape) - signal) ** 2).sum(axis=1)
    ratios = (signal**2).sum(axis=1) / np.maximum(noise, np.finfo(np.float64).tiny)
    return float(np.mean(10 * np.log10(np.clip(ratios, 1e-12, 1e12))))


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
