"""MNN in float32 beside ONNX Runtime and OpenVINO, on trained models.

    pip download --no-deps mnn==3.6.1 && unzip -d LIB mnn-3.6.1-*.whl
    python -m benchmarks.mnn_float LIB | tee benchmarks/results/mnn_float.txt

MNN's command-line tools run pip and call home when they are imported, so the conversion calls the extension module
alone, and whatever imports it runs in a process without a network (`unshare -rn`), from a folder that nothing installs.

Each row has the median inference of one sample on one thread, the least of several processes that take turns: other
work only slows a process down. `ratio` is MNN's time to the faster of the others, and `error` the largest difference of
its outputs from ONNX Runtime's, to their largest value. A third float runtime is worth its code if it wins 5% on two
models against what a build has already.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.zoo import ZooModel
from hwbench.machine.identity import this_machine
from runtimes.tensors import Array

MODELS = ("efficientnet", "ppocr", "centerface", "esrgan", "minilm")
_RUNTIMES = ("onnxruntime", "openvino", "mnn")
_ROUNDS, _RUNS, _WARM_UP, _LONGEST_S = 4, 60, 5, 3.0
_WIN = 0.95

Inputs = dict[str, Array]


def main() -> None:
    """Measure every model on every runtime in turns, and print the table with the verdict."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mnn_float")
    parser.add_argument("lib", type=Path, help="the folder that MNN's wheel was unpacked into")
    parser.add_argument("names", nargs="*", default=MODELS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(_CHILDREN[asked.child](*map(Path, asked.names))))
        return
    others = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "openvino"))
    print(f"{this_machine().cpu}, {others}, mnn {_mnn_version(asked.lib)}; float32, 1 thread, ms")
    print(f"load average {os.getloadavg()[0]:.2f} at the start\n")
    print(f"{'model':14}" + "".join(f"{name:>13}" for name in _RUNTIMES) + f"{'ratio':>8}{'error':>10}", flush=True)
    wins = [name for name in asked.names if _compare(name, asked.lib) < _WIN]
    kept = "is worth a backend" if len(wins) >= 2 else "is not worth a backend"
    print(f"\nfaster by 5% than both others: {', '.join(wins) or 'on none'}; it {kept} by this CPU")


def _compare(name: str, lib: Path) -> float:
    """Print one model's row; return MNN's time to the faster of the others, or infinity if it failed."""
    zoo: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        samples = np.load(zoo.evaluation)
        np.savez(folder / "inputs.npz", **{key: samples[key][:1] for key in samples if not key.startswith("labels")})
        times: dict[str, list[float]] = {runtime: [] for runtime in _RUNTIMES}
        try:
            _run(lib, "convert", zoo.onnx, folder / "model.mnn")
            for _ in range(_ROUNDS):
                for runtime in _RUNTIMES:
                    file = folder / "model.mnn" if runtime == "mnn" else zoo.onnx
                    times[runtime].append(float(_run(lib, runtime, file, folder / "inputs.npz", folder / runtime)))
            expected, seen = (np.load(folder / f"{runtime}.npy") for runtime in ("onnxruntime", "mnn"))
        except RuntimeError as error:
            print(f"{name:14}{error}", flush=True)
            return float("inf")
    least = {runtime: min(found) for runtime, found in times.items()}
    ratio = least["mnn"] / min(least["onnxruntime"], least["openvino"])
    same = expected.size == seen.size
    wrong = np.abs(expected.ravel() - seen.ravel()).max() / np.abs(expected).max() if same else np.inf
    print(f"{name:14}" + "".join(f"{least[r]:13.3f}" for r in _RUNTIMES) + f"{ratio:8.2f}{wrong:10.1e}", flush=True)
    return ratio if wrong < 1e-2 else float("inf")


def _run(lib: Path, child: str, *files: Path) -> Any:
    """Run a step in a process without a network; return what it printed last."""
    command = ["unshare", "-rn", sys.executable, "-m", "benchmarks.mnn_float", str(lib), *map(str, files)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(lib)])}
    done = subprocess.run([*command, "--child", child], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{child} failed: {(done.stderr.strip().splitlines() or ['killed'])[-1][:100]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _convert(source: Path, made: Path) -> int:
    tools = importlib.import_module("_tools")
    tools.mnnconvert(["", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(made), "--bizCode", "benchmark"])
    if not made.is_file():
        raise RuntimeError("MNN wrote no model")
    return 0


def _onnxruntime(model: Path, inputs: Path, outputs: Path) -> float:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = dict(np.load(inputs))
    return _timed(lambda: session.run(None, feeds)[0], outputs)


def _openvino(model: Path, inputs: Path, outputs: Path) -> float:
    import openvino as ov

    feeds, core = dict(np.load(inputs)), ov.Core()
    graph = core.read_model(model)
    graph.reshape({name: list(array.shape) for name, array in feeds.items()})
    config = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(graph, "CPU", config).create_infer_request()
    return _timed(lambda: request.infer(feeds, share_inputs=True)[0], outputs)


def _mnn(model: Path, inputs: Path, outputs: Path) -> float:
    mnn = importlib.import_module("MNN")
    runtime = mnn.Interpreter(str(model))
    session = runtime.createSession({"backend": "CPU", "numThread": 1, "precision": "high"})
    feeds, held = runtime.getSessionInputAll(session), []
    for name, array in np.load(inputs).items():
        given = array.astype(np.int32) if array.dtype.kind == "i" else array
        kind = mnn.Halide_Type_Int if array.dtype.kind == "i" else mnn.Halide_Type_Float
        runtime.resizeTensor(feeds[name], array.shape)
        held.append((name, mnn.Tensor(array.shape, kind, given, mnn.Tensor_DimensionType_Caffe)))
    runtime.resizeSession(session)
    feeds = runtime.getSessionInputAll(session)
    first = runtime.getSessionOutput(session)

    def infer() -> Any:
        for name, tensor in held:
            feeds[name].copyFrom(tensor)
        runtime.runSession(session)
        shape = first.getShape()
        host = mnn.Tensor(shape, mnn.Halide_Type_Float, np.zeros(shape, np.float32), mnn.Tensor_DimensionType_Caffe)
        first.copyToHostTensor(host)
        return host

    return _timed(infer, outputs, lambda host: np.reshape(host.getData(), host.getShape()))


def _timed(infer: Callable[[], Any], outputs: Path, read: Callable[[Any], Array] = np.asarray) -> float:
    """Write the first inference's first output, and return the median in milliseconds of later ones."""
    np.save(outputs.with_suffix(".npy"), read(infer()).astype(np.float32))
    times: list[float] = []
    for _ in range(_WARM_UP):
        infer()
    end = time.perf_counter() + _LONGEST_S
    while len(times) < _RUNS and time.perf_counter() < end:
        start = time.perf_counter()
        infer()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def _mnn_version(lib: Path) -> str:
    return next((path.name.split("-")[1].removesuffix(".dist") for path in lib.glob("*.dist-info")), "unknown")


_CHILDREN: dict[str, Callable[..., float]] = {
    "convert": _convert,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "mnn": _mnn,
}

if __name__ == "__main__":
    main()
