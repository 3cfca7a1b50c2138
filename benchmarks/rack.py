"""The price of Dask for a measurement, and a sweep on 1, 2 and 4 boards that sleep, one of which is killed.

    python -m benchmarks.rack > benchmarks/results/rack.txt

Scheduler, workers and this script are on one machine, so that the network is its loopback. The boards' cells sleep, so
that their number is not limited by this machine's processors.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.sleeping_board import CELL_S, sleep
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.rack.scheduler import connect
from hwbench.rack.scheduler_address import parse_scheduler
from hwbench.targets import Target
from hwbench.targets.dask import open_dask
from hwbench.targets.local import LocalTarget
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.npz import write as write_npz
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.builders import onnxruntime as builder
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.pipeline.request import BuildRequest
from toolchain.recipes.recipe import Recipe
from toolchain.sweep.cells import Cell, list_cells
from toolchain.sweep.rack import Rack
from toolchain.sweep.run_cells import run_cells

ROUNDS = 15
CELLS = 12
KILLED_AFTER_S = 6.0


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = _model(folder)
        with _scheduler(folder / "one", 1) as rack:
            _overhead(model, rack.target, folder)
        print(f"\nA sweep of {CELLS} cells that sleep {CELL_S:g} s each; {CELLS * CELL_S:g} s of sleep in all")
        print(f"{'boards':>7} {'seconds':>8} {'at best':>8} {'cells':>6} {'lost':>5}")
        cells = list_cells(
            BuildRequest(str(model), f"net{number}", folder, (_device(),), precisions=("fp32",))
            for number in range(CELLS)
        )
        for boards, is_killed in ((1, False), (2, False), (4, False), (4, True)):
            with _scheduler(folder / f"{boards}{is_killed}", boards) as rack:
                _sweep(rack, cells, boards, folder, is_killed=is_killed)
        print(f"The last row: one of four boards is killed after {KILLED_AFTER_S:g} s, in the middle of a cell.")


def _device() -> Any:
    return device_profiles.detect(this_machine())


def _overhead(model: Path, target: str, folder: Path) -> None:
    """Compare a block of 50 inferences and a run of 4 samples, in turn here and on a worker of this machine."""
    import numpy as np

    inputs = folder / "inputs.npz"
    samples = {"x": np.random.default_rng(0).standard_normal((4, 256)).astype(np.float32)}
    write_npz(inputs, samples)
    bundle = folder / "net.edge"
    recipe = Recipe("fp32")
    artifact = builder.build(open_model(model), recipe, RuntimeSettings(1), folder)
    pack(Contents("net", _device(), artifact, recipe, samples, {}), bundle)
    plan = SamplingPlan(min_runs=50, max_runs=50, duration_s=0.01, warmup_limit_s=0.05)
    with open_dask(target, _device().name) as board:
        start_s = time.perf_counter()
        board.run(bundle, inputs, folder / "out.npz")  # the files travel now
        first_s = time.perf_counter() - start_s
        targets: dict[str, Target] = {"local": LocalTarget(), "dask": board}
        calls: dict[str, list[float]] = {name: [] for name in targets}
        medians: dict[str, list[float]] = {name: [] for name in targets}
        for _ in range(ROUNDS):
            for name, place in targets.items():
                start_s = time.perf_counter()
                block = place.sample(bundle, inputs, plan)
                calls[name].append(time.perf_counter() - start_s)
                medians[name].append(statistics.median(block.samples_ns) / 1e3)
    print(f"One block of 50 inferences of a model of {bundle.stat().st_size / 1e6:.1f} MB, {ROUNDS} times in turn")
    print(f"{'target':>7} {'call s, median':>15} {'range':>12} {'p50 us, median':>15} {'range':>14}")
    for name in targets:
        call, p50 = calls[name], medians[name]
        print(
            f"{name:>7} {statistics.median(call):>15.3f} {f'{min(call):.2f}-{max(call):.2f}':>12} "
            f"{statistics.median(p50):>15.1f} {f'{min(p50):.1f}-{max(p50):.1f}':>14}"
        )
    added = sorted((there - here) * 1e3 for there, here in zip(calls["dask"], calls["local"]))
    print(f"Dask adds {statistics.median(added):.0f} ms per block, in the middle half {added[ROUNDS // 4]:.0f} to")
    print(f"{added[-1 - ROUNDS // 4]:.0f} ms; the first call, with both files on their way, took {first_s:.2f} s.")


def _sweep(rack: _Rack, cells: tuple[Cell, ...], boards: int, folder: Path, *, is_killed: bool) -> None:
    records: dict[str, Any] = {}
    device = _device()
    with connect(parse_scheduler(rack.target)) as client, tempfile.TemporaryDirectory(dir=folder) as work:
        found = Rack(client, rack.target, {device.name: device}, sleep)
        start_s = time.perf_counter()

        def places() -> Any:
            if is_killed and rack.workers and time.perf_counter() - start_s > KILLED_AFTER_S:
                rack.workers.pop().kill()
                rack.workers.clear()
            return found.join()

        run_cells(
            [(cell, "") for cell in cells],
            places,
            Path(work),
            lambda cell, record, _: records.__setitem__(cell.name, record),
        )
        seconds = time.perf_counter() - start_s
    built = sum(record.status == "built" for record in records.values())
    lost = sum(len(record.losses) for record in records.values())
    best_s = -(-CELLS // boards) * CELL_S
    print(f"{f'{boards} - 1' if is_killed else boards:>7} {seconds:>8.1f} {best_s:>8.1f} {built:>6} {lost:>5}")


def _model(folder: Path) -> Path:
    """Write a model of two products of 256 x 1024 float32, 2 MB."""
    import numpy as np
    import onnx
    from onnx import numpy_helper, parser

    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> net (float[N,256] x) => (float[N,256] y) '
        "{ h = MatMul(x, a) r = Relu(h) y = MatMul(r, b) }"
    )
    rng = np.random.default_rng(0)
    for name, shape in (("a", (256, 1024)), ("b", (1024, 256))):
        weights = (rng.standard_normal(shape) / 30).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weights, name))
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


@dataclasses.dataclass
class _Rack:
    target: str
    workers: list[subprocess.Popen[bytes]]


@contextlib.contextmanager
def _scheduler(folder: Path, boards: int) -> Iterator[_Rack]:
    """Start a scheduler, and workers that do not wait for each other, since each stands for a machine of its own."""
    folder.mkdir()
    file = folder / "scheduler.json"
    started = [_start(folder, "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))]
    try:
        while not file.exists():
            time.sleep(0.05)
        address: str = json.loads(file.read_text())["address"]
        for number in range(boards):
            (folder / str(number)).mkdir()
            options = ["--no-nanny", "--nthreads", "1", "--resources", f"{_device().name}=1"]
            started.append(_start(folder / str(number), "worker", address, *options, "--local-directory", str(folder)))
        with connect(parse_scheduler(address.replace("tcp://", "dask://"))) as client:
            client.wait_for_workers(boards)
        yield _Rack(address.replace("tcp://", "dask://"), started[1:])
    finally:
        for process in started:
            process.kill()
            process.wait()


def _start(temporary: Path, what: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *options]
    env = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)


if __name__ == "__main__":
    main()
