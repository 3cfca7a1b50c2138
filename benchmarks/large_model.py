"""Cost of quantizing a model whose weights no protobuf holds: peak memory and time, each precision in a process.

    python -m benchmarks.large_model | tee benchmarks/results/large_model.txt

The model is generated: a chain of Gemms with more than 2 GB of float32 weights in an external file. Memory is VmHWM of
the process that quantizes, which does not count the child process that loads and runs the result.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from hwbench.data import dataset
from runtimes import plugins
from runtimes.errors import EdgewrightError
from runtimes.profile import QuantizationScheme
from toolchain.candidates.defaults import DEFAULT_CALIBRATION, DEFAULT_CORRECTIONS
from toolchain.models.onnx_model import load_ir, open_model, size_bytes
from toolchain.quantizers import precisions
from toolchain.recipes.apply_recipe import SOURCE_PRECISION, quantize
from toolchain.recipes.recipe import Recipe

_WIDTH, _LAYERS, _SAMPLES = 8192, 9, 4
_LIMIT_S = 900


def main(names: list[str]) -> None:
    """Generate the model and print a row for every precision."""
    with tempfile.TemporaryDirectory(prefix="edgewright-") as name:
        source = generate(Path(name), _WIDTH, _LAYERS)
        gigabytes = size_bytes(source, load_ir(source)) / 1e9
        print(f"{_LAYERS} Gemms of {_WIDTH} x {_WIDTH}: {gigabytes:.2f} GB of float32; onnx_ir {version('onnx-ir')}\n")
        print(f"{'precision':14}{'s':>7}{'peak GB':>9}{'file GB':>9}")
        for precision in names or [p for p in precisions() if p != SOURCE_PRECISION]:
            row = _run_apart(source, precision)
            if "error" in row:
                print(f"{precision:14}{row['error']}", flush=True)
            else:
                print(f"{precision:14}{row['s']:7.0f}{row['peak']:9.2f}{row['file']:9.2f}", flush=True)


def generate(folder: Path, width: int, layers: int) -> Path:
    """Gemms from x float32[N,width] to y, whose weights lie in `weights.bin`, written one at a time."""
    rng = np.random.default_rng(0)
    nodes, tensors = [], []
    with Path(folder, "weights.bin").open("wb") as stream:
        for index in range(layers):
            start = stream.tell()
            stream.write((rng.standard_normal((width, width), np.float32) / width**0.5).data)
            tensor = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=[width, width])
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in {"location": "weights.bin", "offset": start, "length": stream.tell() - start}.items():
                tensor.external_data.add(key=key, value=str(value))
            tensors.append(tensor)
            read, written = ("x" if index == 0 else f"h{index}"), ("y" if index == layers - 1 else f"h{index + 1}")
            nodes.append(helper.make_node("Gemm", [read, f"w{index}"], [written], name=f"gemm{index}"))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]) for name in "xy"]
    graph = helper.make_graph(nodes, "large", values[:1], values[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    Path(folder, "large.onnx").write_bytes(model.SerializeToString())
    np.savez(Path(folder, "samples.npz"), x=rng.standard_normal((_SAMPLES, width), np.float32))
    return Path(folder, "large.onnx")


def _run_apart(source: Path, precision: str) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.large_model", "--one", str(source), precision]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"no result in {_LIMIT_S} s"}
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        last = [line for line in done.stderr.splitlines() if line.strip()]
        return {"error": last[-1][:160] if last else f"exit code {done.returncode}"}
    row: dict[str, object] = json.loads(lines[-1])
    return row


def _one(source: Path, precision: str) -> None:
    module = plugins.load("toolchain.quantizers", precision, "precision")
    method = None if module.NEEDS_RANGES == "no" else DEFAULT_CALIBRATION
    int8 = module.COMPUTES_IN == "int8"
    corrections = DEFAULT_CORRECTIONS if int8 and method else ()
    recipe = Recipe(precision, method, QuantizationScheme() if int8 else None, (), corrections)
    start = time.perf_counter()
    model = open_model(source)
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        try:
            made = quantize(
                model, recipe, dataset.read(source.with_name("samples.npz"), model.inputs), Path(folder, "made.onnx")
            )
        except EdgewrightError as error:
            print(json.dumps({"error": " ".join(str(error).split())[:160]}))
            return
        seconds = time.perf_counter() - start
        size = size_bytes(made.path, load_ir(made.path)) / 1e9
    print(json.dumps({"s": seconds, "peak": _peak_bytes() / 1e9, "file": size}))


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(Path(sys.argv[2]), sys.argv[3])
    else:
        main(sys.argv[1:])
