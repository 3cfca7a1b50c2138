"""Accuracy of int8 by processor: exact arithmetic, emulated kernels and this machine's, of the zoo's models.

    python -m benchmarks.accuracy_by_cpu [MODEL...] | tee benchmarks/results/accuracy_by_cpu.txt

Each model is quantized twice with x86's scheme of u8 activations and s8 weights: with all eight bits, whose sums
saturate on a processor without VNNI, and with as few as cannot (reduce_range). The error is ||y - exact|| / ||exact||
of the worst output over all samples. Few samples are scored, since emulation is slow; the error tells more than the
score. Needs `edgewright targets setup` of the emulated profiles.
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

from benchmarks.zoo import ZooModel
from hwbench.data import dataset
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.measurements import interleaved
from hwbench.results.golden_replay import replay_on
from hwbench.results.measure_bundles import Evaluation
from hwbench.targets.emulated import open_emulated
from hwbench.targets.local import LocalTarget
from runtimes import npz
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import EdgewrightError
from runtimes.profile import QuantizationScheme
from toolchain.builders import onnxruntime
from toolchain.candidates.defaults import DEFAULT_CORRECTIONS
from toolchain.devices.accuracy_matrix import AS_WRITTEN, matrix
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

MODELS = ("g2p", "centerface", "efficientnet", "minilm", "ppocr", "esrgan", "silero")
PROFILES = ("rpi4", "rpi5", "x86-64-v3-avx2", "x86-64-v4-vnni")
_SAMPLES, _GOLDEN = 24, 4


def main(names: list[str]) -> None:
    """Print a table for every model and scheme, with the time of an emulated verify."""
    machine = this_machine()
    print(
        f"{machine.cpu}, {platform.machine()}, onnxruntime {version('onnxruntime')}; {_SAMPLES} samples of each model\n"
    )
    print(f"{'model':14}{'weights':12}{'profile':16}{'computed':18}{'metric':10}{'value':>9}{'error':>10}")
    for name in names or MODELS:
        model: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
        for reduce_range in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    _show(model, reduce_range, Path(folder))
                except EdgewrightError as error:
                    print(f"{name:14}failed: {str(error)[:200]}", flush=True)


def _show(model: ZooModel, reduce_range: bool, folder: Path) -> None:
    evaluation = _spread(model.evaluation, folder / "evaluation.npz")
    bundle = _bundle(model, evaluation, reduce_range, folder)
    weights = "7 bits" if reduce_range else "8 bits"
    profiles = list(map(device_profiles.load, PROFILES))
    asked = Evaluation(evaluation, (model.metric,))
    for row in matrix(bundle, profiles, this_machine(), lambda done: None, asked):
        scores = "".join(f"{name:10}{value:9.4f}" for name, value in row.scores.items())
        shown = f"{scores}{row.error:10.1e}" if scores else row.note
        by = "" if row.profile == AS_WRITTEN else row.way
        print(f"{model.name:14}{weights:12}{row.profile:16}{by:18}{shown}", flush=True)
    device = open_emulated(device_profiles.load("rpi5"))
    start = time.perf_counter()
    test = replay_on(bundle, device)
    took, error = time.perf_counter() - start, max(result.error for result in test.results)
    print(f"{'':26}verify as rpi5, {_GOLDEN} samples: {took:.1f} s, error {error:.1e}\n", flush=True)


def _spread(samples: Path, file: Path) -> Path:
    """Write samples that are evenly spread over a file, since labels may be in order."""
    arrays = npz.read(samples)
    count = len(next(iter(arrays.values())))
    rows = np.linspace(0, count - 1, min(count, _SAMPLES)).astype(int).tolist()
    npz.write(file, {name: array[rows] for name, array in arrays.items()})
    return file


def _bundle(model: ZooModel, evaluation: Path, reduce_range: bool, folder: Path) -> Path:
    source = open_model(model.onnx)
    scheme = QuantizationScheme("uint8", reduce_range=reduce_range, contrib_ops=True)
    recipe = Recipe("int8", "minmax", scheme, corrections=DEFAULT_CORRECTIONS)
    made = quantize(source, recipe, dataset.read(model.calibration, source.inputs), folder / "int8.onnx")
    (folder / "artifact").mkdir()
    artifact = onnxruntime.build(made, recipe, RuntimeSettings(2, {"spinning": "0"}), folder / "artifact")
    profile, bare = device_profiles.load("x86-64-v4-vnni"), folder / "bare.edge"
    pack(Contents(model.name, profile, artifact, recipe, {}, {}), bare)
    data = dataset.read(evaluation, source.inputs, labels=True)
    golden = interleaved.subset(data, range(_GOLDEN), folder / "golden.npz")
    outputs = interleaved.outputs(bare, golden.file, LocalTarget())
    inputs = {name: array[:] for name, array in golden.arrays.items()}
    packed = folder / "int8.edge"
    pack(Contents(model.name, profile, artifact, recipe, inputs, outputs), packed)
    return packed


if __name__ == "__main__":
    main(sys.argv[1:])
