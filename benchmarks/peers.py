"""Choice of `edgewright build` against the peers' documented flows: latency side by side, and accuracy.

    python -m benchmarks.peers [MODEL...] [--threads 1,2] [--rounds 12] [--keep FILE.json] | tee results/peers.txt

Every contender is a file and the runtime that its documentation opens it with. All of a model's contenders are
measured in interleaved rounds, each in a process of its own, so that what disturbs one disturbs all, and each round
begins with another; a row shows the median of the rounds' medians and the range of their middle half. The drop is on
the evaluation samples, on which ours was also accepted, as a build does; peers never saw them. Seconds of ours
include the start of its process, those of peers do not. Peers run on ONNX Runtime or OpenVINO as these come, but for
the threads; ours goes through `runtimes.load`, as on a device. Also the time and the memory of making each.
With `--keep`, what was measured is stored model by model; a later run with the same file measures what is missing, and
prints all of it.
Needs `nncf` and `openvino` beside the development environment.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import psutil

from benchmarks import flows, kept, latency_models
from benchmarks.contender import ALLOWED, ALLOWED_RANDOM, Contender, print_summary, print_table
from benchmarks.zoo import ZooModel
from hwbench import metrics
from hwbench.data import dataset
from hwbench.machine.identity import this_machine
from hwbench.measurements import accuracy
from hwbench.metrics.parity import as_labels
from hwbench.stats.paired_proportions import PairedProportions
from runtimes import samples
from runtimes.tensors import Array
from toolchain.models.onnx_model import open_model

TRAINED = ("efficientnet", "centerface", "ppocr", "silero", "minilm", "g2p", "esrgan")
OURS, FLOAT = "edgewright", "ORT fp32"
_LIMIT_S = 1800
_SAMPLE_S = 1.0
_MIN_RUNS = 20
_WARMUP_RUNS = 10
_FEEDS = 4
Run = Callable[[dict[str, Array]], dict[str, Array]]

# Contender: the flow that makes its file, and the runtime that opens it.
PEERS: dict[str, tuple[flows.Flow, str]] = {
    FLOAT: (flows.float32, "onnxruntime"),
    "ORT static": (flows.ort_static(shapes=True), "onnxruntime"),
    "ORT static*": (flows.ort_static(shapes=False), "onnxruntime"),
    "ORT dynamic": (flows.ort_dynamic(shapes=True), "onnxruntime"),
    "ORT dynamic*": (flows.ort_dynamic(shapes=False), "onnxruntime"),
    "NNCF + OpenVINO": (flows.nncf, "openvino"),
    "OpenVINO": (flows.float32, "openvino"),
}


def main(names: Sequence[str], threads: Sequence[int], rounds: int, keep: Path | None) -> None:
    """Measure every model that was not yet, and print the tables, then the summary."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "openvino", "nncf", "onnx"))
    where = f"{this_machine().cpu}, {os.cpu_count()} cores, {packages}, {rounds} rounds"
    print(where)
    measured = kept.read(keep, where) if keep else {}
    for (name, count), contenders in measured.items():
        print_table(name, count, contenders, name in TRAINED)
    for name in names:
        missing = [count for count in threads if (name, count) not in measured]
        with tempfile.TemporaryDirectory() as folder:
            for count in missing:
                measured[name, count] = _measure(name, count, rounds, Path(folder))
                print_table(name, count, measured[name, count], name in TRAINED)
                if keep:
                    kept.write(keep, where, measured)
    print_summary(measured, TRAINED)


def _measure(name: str, threads: int, rounds: int, folder: Path) -> list[Contender]:
    model = model_named(name, folder)
    contenders = [_made(peer, runtime, name, folder) for peer, (_, runtime) in PEERS.items()]
    starred = {c.name for c in contenders if not c.failure}
    contenders = [c for c in contenders if not (c.name.endswith("*") and c.name[:-1] in starred)]
    contenders.append(_ours(model, threads, folder))
    for contender in contenders:
        _score(contender, model, threads, folder)
    reference = contenders[0].score
    better = metrics.load(model.metric).higher_is_better
    for contender in contenders:
        contender.drop = (reference - contender.score) * (1 if better else -1)
    for turn in range(rounds):
        first = turn % len(contenders)
        for contender in contenders[first:] + contenders[:first]:
            if not contender.failure:
                done = _apart("--sample", contender, model.calibration, threads, str(folder / "ORT_fp32.onnx"))
                contender.failure = str(done.get("error", ""))
                contender.rounds_ms += (done["ms"],) if "ms" in done else ()
    return contenders


def _made(peer: str, runtime: str, model: str, folder: Path) -> Contender:
    file = folder / f"{''.join(c if c.isalnum() else '_' for c in peer)}.onnx"
    contender = Contender(peer, file, runtime)
    if not file.exists():
        row = _call(["--make", peer, model, str(folder), str(file)])
        (file.with_suffix(".json")).write_text(json.dumps(row))
    row = json.loads(file.with_suffix(".json").read_text())
    if PEERS[peer][0] is not flows.float32:  # a copy of the source is made by nobody
        contender.seconds, contender.megabytes = row["seconds"], row["megabytes"]
    contender.failure = row.get("error", "")
    return contender


def _ours(model: ZooModel, threads: int, folder: Path) -> Contender:
    """Build with `edgewright build` from nothing: no cache of earlier builds."""
    out = folder / f"ours-{threads}"
    command = [sys.executable, "-c", "from toolchain.cli import main; main()", "build", str(model.onnx)]
    command += ["--calibration", str(model.calibration), "--evaluation", str(model.evaluation)]
    command += ["--metric", model.metric, "--budget", f"accuracy_drop<={_budget(model):.4f}", "--threads", str(threads)]
    command += ["--name", model.name, "--out", str(out), "--format", "json", "--duration", "0.3"]
    row = _timed(command, {"EDGEWRIGHT_CACHE": str(folder / f"cache-{threads}")})
    contender = Contender(OURS, out, "edge", float(row["seconds"]), float(row["megabytes"]))
    found = sorted(out.glob("*.edge")) if out.is_dir() else []
    if not found:
        contender.failure = str(row.get("error") or "no candidate met the budget")
        return contender
    contender.file = found[0]
    entries = json.loads((out / "report.json").read_text())["profiles"][0]["candidates"]
    contender.what = next(entry["name"] for entry in entries if entry["status"] == "selected")
    return contender


def _budget(model: ZooModel) -> float:
    """A hundredth, and what so few samples cannot tell: a budget that no candidate could be shown to meet is none.

    Peers are held to what they lose on these samples, ours to what it may lose in truth. So that int8 is not refused
    for one sample lost and another won, the budget is the interval's reach there; one more lost is beyond it.
    """
    if model.metric == "parity":
        return ALLOWED_RANDOM
    samples = dataset.read(model.evaluation, open_model(model.onnx).inputs).n
    reach = PairedProportions(1, 1, samples).estimate().high
    return ALLOWED * max(1.0, abs(model.expected_score)) + reach


def _score(contender: Contender, model: ZooModel, threads: int, folder: Path) -> None:
    if not contender.failure:
        source = folder / "ORT_fp32.onnx"
        row = _apart("--score", contender, model.evaluation, threads, model.metric, str(source))
        contender.failure = str(row.get("error", ""))
        contender.score = float(row.get("score", math.nan))


def _apart(what: str, contender: Contender, data: Path, threads: int, *more: str) -> dict[str, object]:
    return _call([what, str(contender.file), contender.runtime, str(data), str(threads), *more])


def _call(arguments: list[str]) -> dict[str, object]:
    return _timed([sys.executable, "-m", "benchmarks.peers", *arguments])


def _timed(command: list[str], environment: Mapping[str, str] | None = None) -> dict[str, object]:
    """Run a command; what its last line says, and the seconds and the peak memory it took."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command, stdout=out, stderr=err, text=True, env={**os.environ, **(environment or {})}
        )
        try:
            peak = _peak_bytes(process)
        except TimeoutError:
            return {"error": f"no result in {_LIMIT_S} s", "seconds": float(_LIMIT_S), "megabytes": 0.0}
        status = process.returncode
        cost = {"seconds": time.perf_counter() - start, "megabytes": peak / 1e6}
        out.seek(0)
        err.seek(0)
        lines = out.read().splitlines()
        said = [line for line in err.read().splitlines() if line.strip()]
    if status != 0:
        last = said[-1][:160] if said else f"exit status {status}"
        return {**cost, "error": f"died of signal {-status}" if status < 0 else last}
    try:
        row = json.loads(lines[-1]) if lines else {}
    except ValueError:
        row = {}
    return {**cost, **(row if isinstance(row, dict) else {})}


def _peak_bytes(process: subprocess.Popen[str]) -> int:
    """Wait for a process; the most that it and its children held at one time, looked at every 20 ms.

    The kernel's own figure (ru_maxrss) begins with what we held when the child was made.
    """
    peak, end = 0, time.monotonic() + _LIMIT_S
    while process.poll() is None:
        if time.monotonic() > end:
            for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                each.kill()
            process.wait()
            raise TimeoutError
        with contextlib.suppress(psutil.Error):  # one of them has just ended
            root = psutil.Process(process.pid)
            peak = max(peak, sum(each.memory_info().rss for each in [root, *root.children(recursive=True)]))
        time.sleep(0.02)
    return peak


def _open(file: Path, runtime: str, threads: int) -> Run:
    """As each documentation opens a file, with the threads given."""
    if runtime == "edge":
        import runtimes

        return runtimes.load(file).run
    if runtime == "onnxruntime":
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 4
        session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return lambda feeds: dict(zip(names, session.run(names, feeds)))
    import openvino as ov

    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(str(file), "CPU", config)
    request = compiled.create_infer_request()
    ports = {port.any_name: port for port in compiled.outputs}

    def run(feeds: dict[str, Array]) -> dict[str, Array]:
        results = request.infer(feeds, share_inputs=True)
        return {name: results[port] for name, port in ports.items()}

    return run


def _sample(file: str, runtime: str, data: str, threads: str, source: str) -> dict[str, float]:
    run = _open(Path(file), runtime, int(threads))
    specs = open_model(Path(source)).inputs
    feeds = list(islice(samples.feeds(specs, dataset.read(Path(data), specs).arrays), _FEEDS))
    for feed in islice(cycle(feeds), _WARMUP_RUNS):
        run(feed)
    taken: list[int] = []
    end = time.perf_counter() + _SAMPLE_S
    for feed in cycle(feeds):
        start = time.perf_counter_ns()
        run(feed)
        taken.append(time.perf_counter_ns() - start)
        if time.perf_counter() > end and len(taken) >= _MIN_RUNS:
            return {"ms": statistics.median(taken) / 1e6}
    raise AssertionError("cycle never ends")


def _scored(file: str, runtime: str, data: str, threads: str, metric: str, source: str) -> dict[str, float]:
    specs = open_model(Path(source)).inputs
    read = dataset.read(Path(data), specs, labels=metric != "parity")
    outputs = _outputs(_open(Path(file), runtime, int(threads)), specs, read.arrays)
    if metric == "parity":
        labels = as_labels(_outputs(_open(Path(source), "onnxruntime", 1), specs, read.arrays))
    else:
        assert read.labels is not None
        labels = read.labels
    return {"score": accuracy.evaluate(metrics.load(metric), outputs, labels).value}


def _outputs(run: Run, specs: Sequence[object], arrays: dict[str, Array]) -> dict[str, Array]:
    runs = [run(feeds) for feeds in samples.feeds(specs, arrays)]  # type: ignore[arg-type]
    return samples.gather(runs, samples.batch_size(specs, arrays))  # type: ignore[arg-type]


def model_named(name: str, folder: Path) -> ZooModel:
    """A trained model from the zoo, or one with random weights, which is written into the folder."""
    if name in latency_models.NAMES:
        return latency_models.prepare(name, folder)
    model: ZooModel = importlib.import_module(f"benchmarks.zoo.{name}").prepare()
    return model


def _make(peer: str, model: str, folder: str, out: str) -> dict[str, float]:
    prepared = model_named(model, Path(folder))
    os.chdir(folder)  # ONNX Runtime's tools leave files where they run
    start = time.perf_counter()
    PEERS[peer][0](prepared, Path(out))
    return {"seconds": time.perf_counter() - start}


_CHILD: dict[str, Callable[..., dict[str, float]]] = {"--make": _make, "--sample": _sample, "--score": _scored}

if __name__ == "__main__":
    np.seterr(all="ignore")
    if sys.argv[1:2] and sys.argv[1] in _CHILD:
        print(json.dumps(_CHILD[sys.argv[1]](*sys.argv[2:])))
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("models", nargs="*", default=[*TRAINED, *latency_models.NAMES])
        parser.add_argument("--threads", default=f"1,{os.cpu_count()}")
        parser.add_argument("--rounds", type=int, default=12)
        parser.add_argument("--keep", type=Path, help="a JSON file to read earlier parts from and to store this one in")
        given = parser.parse_args()
        main(given.models, sorted({int(n) for n in given.threads.split(",")}), given.rounds, given.keep)
