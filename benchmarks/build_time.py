"""Seconds of `edgewright build` per phase, of clock and processor, from an empty cache, on one and two cores.

    python -m benchmarks.build_time | tee benchmarks/results/build_time.txt
    python -m benchmarks.build_time demo ppocr --cores 2

Each build is the command as users run it, in a process of its own. A phase begins with the line that it prints; its
processor time is that of the build and of all processes that it started and that have ended by then.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from hwbench.machine.identity import this_machine
from runtimes import plugins
from toolchain.pipeline.stages import OPENING, PEAKS, REFERENCE

_MODELS = ("demo", "efficientnet", "ppocr", "minilm", "centerface", "silero")
_START = "start"  # imports, and in the demo training
_CODE = "import sys; from toolchain.cli import main; sys.exit(main())"
_STAGE = re.compile(f"({re.escape(OPENING.partition(' ')[0])}) |({re.escape(REFERENCE)})|({re.escape(PEAKS)})|[^ ]+: ")
_SELECTED = re.compile(r"^Selected\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class PhaseTime:
    """Seconds of one phase, of the clock and of the processor."""

    phase: str
    wall_s: float
    cpu_s: float


def main() -> int:
    """Build every model on every number of cores, and print a table for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.build_time", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=_MODELS, help=f"of {', '.join(_MODELS)}")
    parser.add_argument("--cores", type=int, action="append", metavar="N", help="a number of cores; by default 1 and 2")
    asked = parser.parse_args()
    versions = ", ".join(f"{package} {version(package)}" for package in ("onnxruntime", "openvino"))
    print(f"{this_machine().cpu}, {versions}, load average {os.getloadavg()[0]:.2f} at the start", flush=True)
    allowed = sorted(os.sched_getaffinity(0))
    for cores in asked.cores or (1, 2):
        os.sched_setaffinity(0, allowed[:cores])  # the children inherit it
        for name in asked.names:
            _print(name, cores, *_build(name))
    return 0


def _build(name: str) -> tuple[list[PhaseTime], str]:
    """Build a model from an empty cache; return its phases and the line of the selected candidate."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _CODE, *build_arguments(name), "--out", str(Path(folder, "out"))]
        environment = {**os.environ, "EDGEWRIGHT_CACHE": str(Path(folder, "cache"))}
        report = Path(folder, "report.txt")
        with (
            report.open("w") as stdout,
            subprocess.Popen(command, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True) as process,
        ):
            phases = list(_timed(process))
        text = report.read_text()
    selected = _SELECTED.search(text)
    return phases, selected[1] if selected else f"exit code {process.returncode}"


def build_arguments(name: str) -> Sequence[str]:
    """Make the command that builds the demo or a model of the zoo, without its folder."""
    if name == "demo":
        return ("demo",)
    model = plugins.load("benchmarks.zoo", name, "model").prepare(None)
    samples = ("--calibration", str(model.calibration), "--evaluation", str(model.evaluation))
    return ("build", str(model.onnx), *samples, "--metric", model.metric, "--name", name)


def _timed(process: subprocess.Popen[str]) -> Iterator[PhaseTime]:
    """Read a build's lines until it ends, and yield its phases; phases of one name follow each other."""
    assert process.stderr is not None
    watched = psutil.Process(process.pid)
    before_s, began, phase = _children_s(), (time.monotonic(), 0.0), _START
    for line in process.stderr:
        if _STAGE.match(line):
            now = time.monotonic(), _cpu_s(watched)
            yield PhaseTime(phase, now[0] - began[0], now[1] - began[1])
            began, phase = now, line.strip().partition(": ")[2] or line.split(" ")[0]
    process.wait()
    yield PhaseTime(phase, time.monotonic() - began[0], _children_s() - before_s - began[1])


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _print(name: str, cores: int, phases: Sequence[PhaseTime], selected: str) -> None:
    print(f"\n{name}, {cores} core{'s' if cores > 1 else ''}: {selected}\n  {'phase':28}{'s':>8}{'CPU s':>8}")
    total = PhaseTime("total", sum(one.wall_s for one in phases), sum(one.cpu_s for one in phases))
    for one in (*phases, total):
        print(f"  {one.phase:28}{one.wall_s:8.1f}{one.cpu_s:8.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
