"""Check that TensorRT's parser and builder take what the quantizers write for it.

    python -m benchmarks.tensorrt_files [MODEL...] | tee benchmarks/results/tensorrt_files.txt

Built with tensorrt-rtx, which needs no GPU for that, at the shape of one calibration sample; each build in a process of
its own, since some crash. It takes TensorRT's rules for a network to apply, not its kernels: nothing is run.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorrt_rtx as trt

from benchmarks.zoo import ZooModel
from hwbench.data import dataset
from hwbench.machine import device_profiles
from runtimes import plugins, samples
from runtimes.errors import EdgewrightError
from toolchain.candidates.defaults import DEFAULT_CALIBRATION, DEFAULT_CORRECTIONS
from toolchain.models.onnx_model import open_model
from toolchain.quantizers import precisions
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

MODELS = ("efficientnet", "centerface", "ppocr", "silero", "minilm", "g2p", "esrgan")
PROFILE = "jetson-agx-orin"
_LIMIT_S = 600


def main(names: list[str]) -> None:
    """Print a row for every model and precision."""
    print(f"tensorrt-rtx {version('tensorrt-rtx')}, int8 as {PROFILE} asks\n")
    print(f"{'model':14}{'precision':14}{'s':>6}{'MB':>8}  result")
    for name in names or MODELS:
        for precision in precisions():
            row = _run_apart(name, precision)
            figures = f"{row['s']:6.2f}{row['mb']:8.1f}" if "mb" in row else " " * 14
            print(f"{name:14}{precision:14}{figures}  {row['result']}", flush=True)


def build(file: Path, feeds: Path) -> tuple[bytes | None, str]:
    """An engine, or None and the reason; dynamic dimensions take the sizes of the feeds."""
    log = _Log()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(file)):
        errors = (parser.get_error(index) for index in range(parser.num_errors))
        return None, "parser: " + "; ".join(f"{error.node_name()} ({error.node_operator()})" for error in errors)
    config, shapes = builder.create_builder_config(), builder.create_optimization_profile()
    with np.load(feeds) as arrays:
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            if -1 in tuple(tensor.shape):
                shapes.set_shape(tensor.name, *[arrays[tensor.name].shape] * 3)
    config.add_optimization_profile(shapes)
    engine = builder.build_serialized_network(network, config)
    return (bytes(engine), "builds") if engine is not None else (None, "builder: " + " | ".join(log.errors))


class _Log(trt.ILogger):  # type: ignore[misc]  # tensorrt_rtx ships no types
    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def log(self, severity: trt.ILogger.Severity, message: str) -> None:
        """Keep errors."""
        if severity <= trt.ILogger.ERROR:
            self.errors.append(message)


def _run_apart(name: str, precision: str) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.tensorrt_files", "--one", name, precision]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"result": f"no result in {_LIMIT_S} s"}
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()]
        return {"result": f"died of signal {-done.returncode}" if done.returncode < 0 else last[-1][:160]}
    row: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return row


def _one(name: str, precision: str) -> None:
    model: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    source = open_model(model.onnx)
    data = dataset.read(model.calibration, source.inputs)
    module = plugins.load("toolchain.quantizers", precision, "precision")
    method = None if module.NEEDS_RANGES == "no" else DEFAULT_CALIBRATION
    int8 = module.COMPUTES_IN == "int8"
    scheme = device_profiles.load(PROFILE).quantization["tensorrt"] if int8 else None
    corrections = DEFAULT_CORRECTIONS if int8 and method else ()
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = quantize(source, Recipe(precision, method, scheme, (), corrections), data, Path(folder, "made.onnx"))
        except EdgewrightError as error:
            print(json.dumps({"result": f"not made: {' '.join(str(error).split())[:160]}"}))
            return
        np.savez(Path(folder, "feeds.npz"), **next(samples.feeds(source.inputs, data.arrays)))
        start = time.perf_counter()
        engine, reason = build(made.path, Path(folder, "feeds.npz"))
        seconds = time.perf_counter() - start
    row: dict[str, object] = {"result": " ".join(reason.split())[:160]}
    if engine is not None:
        row |= {"s": seconds, "mb": len(engine) / 1e6}
    print(json.dumps(row))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(*sys.argv[2:4])
    else:
        main(sys.argv[1:])
