"""Cost of building an engine with tensorrt-rtx, on a machine without a GPU: time, memory, size, layers.

    python -m benchmarks.tensorrt_build [MODEL...] | tee benchmarks/results/tensorrt_build.txt

Each build is in a process of its own, for an RTX 5090 (compute capability 12.0). Time is parsing and building, without
the import: the median of three processes, and their range; memory is the process's peak, and what of it was there
before the build. The last column counts the engine's layers by the type of their first output. These are engines of
tensorrt-rtx, not of TensorRT, and their kernels are compiled when they are loaded on a card.
"""

from __future__ import annotations

import importlib
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.accuracy import MODELS
from benchmarks.zoo import ZooModel
from hwbench.data import dataset
from hwbench.machine import device_profiles, identity
from toolchain.candidates.defaults import DEFAULT_CALIBRATION, DEFAULT_CORRECTIONS
from toolchain.engines.overview import arithmetic
from toolchain.engines.planner import plan_engine
from toolchain.engines.shape_ranges import Sizes
from toolchain.models.onnx_model import OnnxModel, open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
_BATCH: Sizes = (1, 1, 8)
_OTHER: Sizes = (16, 64, 128)  # lengths and picture sides that the seven models take
_LIMIT_S, _REPEATS = 1800, 3


def main(names: list[str]) -> None:
    """Build every precision of every model and print the table."""
    here = identity.this_machine()
    print(f"{here.cpu}, {platform.machine()}, tensorrt-rtx {version('tensorrt-rtx')}, for an RTX 5090 (12.0)\n")
    print(
        f"{'model':13}{'precision':10}{'ONNX MB':>8}{'engine MB':>10}{'build s':>8}  {'range':15}"
        f"{'peak MB':>8}{'before':>7}  layers"
    )
    for name in names or MODELS:
        for precision in PRECISIONS:
            row = _run_apart(name, precision)
            figures = f"  failed: {row['error']}" if "error" in row else _figures(row)
            print(f"{name:13}{precision:10}{figures}", flush=True)


def _figures(row: dict[str, Any]) -> str:
    least, median, most = row["seconds"]
    sizes = f"{row['onnx_mb']:8.2f}{row['engine_mb']:10.2f}"
    time_s = f"{median:8.2f}  {f'[{least:.2f}, {most:.2f}]':15}"
    return f"{sizes}{time_s}{row['peak_mb']:8.0f}{row['before_mb']:7.0f}  {row['layers']}"


def _run_apart(name: str, precision: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        variant = str(Path(folder, "variant.onnx"))
        made = _child("--variant", name, precision, variant)  # apart: making it is not in the build's memory
        if "error" in made:
            return made
        rows = [_child("--build", name, precision, variant) for _ in range(_REPEATS)]
    failed = [row for row in rows if "error" in row]
    return failed[0] if failed else {**rows[0], "seconds": sorted(row["seconds"] for row in rows)}


def _child(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.tensorrt_build", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"no result in {_LIMIT_S} s"}
    if done.returncode < 0:
        return {"error": f"died of signal {-done.returncode}"}
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = lines[-1].partition("Error: ")[2] if lines else f"exit code {done.returncode}"
        return {"error": said[:240]}
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
    return row


def _variant(name: str, precision: str, out: Path) -> None:
    model: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    source = open_model(model.onnx)
    scheme = device_profiles.load("rtx-5090").quantization["tensorrt-rtx"] if precision == "int8" else None
    method = DEFAULT_CALIBRATION if precision in ("int8", "fp16") else None
    corrections = DEFAULT_CORRECTIONS if precision == "int8" else ()
    recipe = Recipe(precision, method, scheme, corrections=corrections)
    made = quantize(source, recipe, dataset.read(model.calibration, source.inputs), out)
    if made.path != out:
        out.write_bytes(made.path.read_bytes())


def _build(precision: str, file: Path) -> None:
    import tensorrt_rtx as trt

    from runtimes.tensorrt.build_engine import build

    model, profile = open_model(file), device_profiles.load("rtx-5090")
    plan = plan_engine(profile, model.inputs, arithmetic(precision), _ranges(model), "tensorrt-rtx")
    onnx = file.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    built = build(trt, plan, onnx)
    seconds = time.perf_counter() - start
    types = Counter(layer.precision or "-" for layer in built.layers)
    row = {
        "onnx_mb": len(onnx) / 1e6,
        "engine_mb": len(built.engine) / 1e6,
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "before_mb": before / 1e3,
        "layers": f"{len(built.layers)}: " + ", ".join(f"{count} {kind}" for kind, count in types.most_common()),
    }
    print(json.dumps(row))


def _ranges(model: OnnxModel) -> list[dict[str, Sizes]]:
    names = [size for spec in model.inputs for size in spec.shape if isinstance(size, str)]
    first = model.inputs[0].shape[0]
    return [{name: _BATCH if name == first else _OTHER for name in names}] if names else []


if __name__ == "__main__":
    if sys.argv[1:2] == ["--variant"]:
        _variant(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    elif sys.argv[1:2] == ["--build"]:
        _build(sys.argv[3], Path(sys.argv[4]))
    else:
        main(sys.argv[1:])
