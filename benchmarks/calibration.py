"""Memory and time of calibration on EfficientNet-lite0: ours, ONNX Runtime's calibrators, and NNCF.

    python -m benchmarks.calibration [N...] | tee benchmarks/results/calibration.txt

Every row runs in a process of its own, with 8 GB of address space and ten minutes; all of its ONNX Runtime sessions
compute on one thread. Seconds are counted from opening the files, after all imports: for ours with checking and
hashing the samples and with folding the graph; for "forward", which is the float model on the same samples and
nothing else, with reading them. The ratio is of processor time, which other work on a machine disturbs less than the
clock; flows that take less than 3 s of it take turns, five each, and the least counts. Peak memory is VmHWM, with
Python and what was imported. The samples are the zoo's 128 calibration pictures, shifted and mirrored to 1,024. NNCF's
row is its whole `quantize`, which cannot be stopped after calibration.
Needs `nncf` beside the development environment.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from hwbench.data import dataset
from runtimes import plugins, samples
from runtimes.npz import open_arrays
from runtimes.tensors import Array
from toolchain.models import ort_session
from toolchain.models.onnx_model import open_model
from toolchain.models.prepare import prepare
from toolchain.recipes.find_ranges import calibrate
from toolchain.recipes.recipe import Recipe

_SIZES = (64, 256, 1024)
_RUNS, _SHORT_S = 5, 3.0  # a flow that takes less processor time than that is run that often
_LIMIT_S = 600
_LIMIT_BYTES = 8 * 10**9


def main(sizes: list[int]) -> None:
    """Run every row and print the table."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "nncf", "numpy"))
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the start, {versions}\n")
    print(f"{'flow':18}{'samples':>8}{'clock s':>9}{'CPU s':>8}{'x forward':>11}{'peak MB':>9}")
    from benchmarks.zoo import efficientnet  # imports torch, which must not count as any row's memory

    model = efficientnet.prepare()
    with np.load(model.calibration) as data:
        pictures = data["image"]
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            file = Path(folder, f"{n}.npz")
            np.savez(file, image=_views(pictures)[:n])
            rows = _least(model.onnx, file)
            for flow, row in rows.items():
                if "error" in row:
                    print(f"{flow:18}{n:8,}  {row['error']}", flush=True)
                    continue
                ratio = row["cpu_s"] / rows["forward"]["cpu_s"]
                figures = f"{row['clock_s']:9.2f}{row['cpu_s']:8.2f}{ratio:11.2f}{row['peak_mb']:9.0f}"
                print(f"{flow:18}{n:8,}{figures}", flush=True)
            file.unlink()


def _views(pictures: Array) -> Array:
    """Eight times as many: mirrored, and shifted by up to 24 pixels."""
    shifted = [np.roll(pictures, 8 * shift, axis=3) for shift in range(4)]
    return np.concatenate([view for each in shifted for view in (each, each[..., ::-1])])


def _least(model: Path, file: Path) -> dict[str, dict[str, Any]]:
    """Of each flow, the run with the least processor time; in turns, as the machine's load comes and goes."""
    least = {flow: _run_apart(flow, model, file) for flow in FLOWS}
    for _ in range(_RUNS - 1):
        for flow, row in least.items():
            if row.get("cpu_s", np.inf) < _SHORT_S:
                again = _run_apart(flow, model, file)
                least[flow] = min(row, again, key=lambda row: float(row.get("cpu_s", np.inf)))
    return least


def _run_apart(flow: str, model: Path, file: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.calibration", "--one", flow, str(model), str(file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"no result in {_LIMIT_S} s"}
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        row: dict[str, Any] = json.loads(lines[-1])
        return row
    said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
    if re.search("MemoryError|bad_alloc|Failed to allocate|cannot allocate", done.stderr, re.IGNORECASE):
        return {"error": f"out of {_LIMIT_BYTES / 1e9:.0f} GB: {said[-1][:80]}"}
    return {"error": f"failed: {said[-1][:120]}"}


def _one(flow: str, model: Path, file: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_LIMIT_BYTES, _LIMIT_BYTES))
    _on_one_thread()
    run = FLOWS[flow]()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # ONNX Runtime's tools leave files where they run
        clock, cpu = time.perf_counter(), time.process_time()
        run(model, file)
        row = {"clock_s": time.perf_counter() - clock, "cpu_s": time.process_time() - cpu, "peak_mb": _peak_mb()}
    print(json.dumps(row))


def _on_one_thread() -> None:
    """Peers make sessions of their own, without a way to say how many threads."""
    make = ort.InferenceSession.__init__

    def on_one_thread(self: Any, model: Any, sess_options: Any = None, **options: Any) -> None:
        sess_options = sess_options or ort.SessionOptions()
        sess_options.intra_op_num_threads = 1
        make(self, model, sess_options, **options)

    ort.InferenceSession.__init__ = on_one_thread


def _peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e6


Run = Callable[[Path, Path], object]


def _feeds(model: Path, file: Path) -> Iterator[dict[str, Array]]:
    """Samples one by one, for peers too, so that nobody pays for a whole file in memory."""
    return samples.feeds(open_model(model).inputs, open_arrays(file))


def _forward() -> Run:
    def run(model: Path, file: Path) -> None:
        session = ort_session.session(model)
        for feeds in _feeds(model, file):
            session.run(None, feeds)

    return run


def _ours(method: str) -> Callable[[], Run]:
    def flow() -> Run:
        plugins.load("toolchain.quantizers", "int8", "precision")
        plugins.load("toolchain.calibration.methods", method, "calibration method")

        def run(model: Path, file: Path) -> object:
            source = open_model(model)
            return calibrate(prepare(source), Recipe("int8", method), dataset.read(file, source.inputs))

        return run

    return flow


def _ort(method: str) -> Callable[[], Run]:
    def flow() -> Run:
        from onnxruntime.quantization.calibrate import CalibrationDataReader, CalibrationMethod, create_calibrator

        class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
            def __init__(self, model: Path, file: Path) -> None:
                self.samples = _feeds(model, file)

            def get_next(self) -> dict[str, Array] | None:
                return next(self.samples, None)

        def run(model: Path, file: Path) -> object:
            calibrator = create_calibrator(model, calibrate_method=CalibrationMethod[method])
            calibrator.collect_data(Reader(model, file))
            return calibrator.compute_data()

        return run

    return flow


def _nncf() -> Run:
    import nncf
    import onnx

    def run(model: Path, file: Path) -> object:
        n = sum(1 for _ in _feeds(model, file))

        class Samples:
            def __iter__(self) -> Iterator[dict[str, Array]]:
                return _feeds(model, file)

        return nncf.quantize(onnx.load(model), nncf.Dataset(Samples()), subset_size=n)

    return run


FLOWS: dict[str, Callable[[], Run]] = {
    "forward": _forward,
    **{f"ours {method}": _ours(method) for method in ("minmax", "percentile", "entropy", "mse")},
    **{f"ORT {method.lower()}": _ort(method) for method in ("MinMax", "Percentile", "Entropy")},
    "NNCF": _nncf,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main([int(n) for n in sys.argv[1:]] or list(_SIZES))
