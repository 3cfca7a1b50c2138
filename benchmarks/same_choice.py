"""Choices of many builds of one model: each from an empty cache, so that everything is made and measured anew.

    python -m benchmarks.same_choice | tee benchmarks/results/same_choice.txt
    python -m benchmarks.same_choice --model silero --builds 5 --busy 2

One model has to come out as one candidate. `--busy` keeps processes running that take turns with the build, as on a
machine that others use.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.build_time import build_arguments
from hwbench.machine.identity import this_machine
from hwbench.measurements.report import NotMeasuredError
from hwbench.results import profile_results
from hwbench.results.profile_results import CandidateResult

_CODE = "import sys; from toolchain.cli import main; sys.exit(main())"
_BURN = "while True: sum(range(10**6))"


def main() -> int:
    """Build, print the choice of each build as it comes, and how often each candidate was chosen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_choice", description=__doc__)
    parser.add_argument("--model", default="demo", help="demo, or a model of benchmarks/zoo")
    parser.add_argument("--builds", type=int, default=20)
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that take turns with the builds")
    asked = parser.parse_args()
    package = f"onnxruntime {version('onnxruntime')}, openvino {version('openvino')}"
    print(f"{this_machine().cpu}, {len(os.sched_getaffinity(0))} cores, {package}; {asked.busy} busy processes")
    print(f"load average {os.getloadavg()[0]:.2f} at the start\n\n{asked.model}", flush=True)
    chosen: Counter[str] = Counter()
    with _busy(asked.busy):
        for number in range(asked.builds):
            found = _selected(asked.model)
            chosen[found.name if found is not None else "none"] += 1
            print(f"  {number + 1:3}  {_row(found)}", flush=True)
    print(f"\n{len(chosen)} choice{'s' if len(chosen) > 1 else ''} of {asked.builds} builds")
    for name, times in chosen.most_common():
        print(f"  {times:3}  {name}")
    return 0 if len(chosen) == 1 else 1


def _selected(model: str) -> CandidateResult | None:
    """Build once, and return the candidate that was selected."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        command = [sys.executable, "-c", _CODE, *build_arguments(model), "--out", str(out)]
        environment = {**os.environ, "EDGEWRIGHT_CACHE": str(Path(folder, "cache"))}
        subprocess.run(command, env=environment, capture_output=True, check=False)
        report = out / "report.json"
        if not report.is_file():
            return None
        return profile_results.from_json(report.read_bytes(), str(report)).profiles[0].selected


def _row(found: CandidateResult | None) -> str:
    if found is None or found.report is None:
        return "none"
    try:
        p50 = found.report.estimate("p50")
    except NotMeasuredError as reason:
        return f"{found.name:44} {reason}"
    size = found.report.artifact.size_bytes / 1e6
    return f"{found.name:44} p50 {p50.value:.3f} ms [{p50.low:.3f}, {p50.high:.3f}], {size:.2f} MB"


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
