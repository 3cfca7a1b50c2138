"""Coverage-guided fuzzing of our readers by Atheris (PyPI; libFuzzer for Python), each in a process of its own.

    python -m benchmarks.fuzz_coverage [SECONDS [READER...]] | tee benchmarks/results/fuzz_coverage.txt

Atheris instruments the bytecode of our packages when they are imported, so that inputs which reach new branches are
kept and changed further. Findings are those of `benchmarks.fuzz`, but for memory: libFuzzer's own limit is 2 GiB, and
only the readers that call no large native library are run, since those are not instrumented.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

_READERS = (
    "zip: a bundle's bytes",
    "manifest, replayed",
    "npy",
    "npz",
    "profile",
    "request, JSON",
    "request, binary",
    "program, JSON",
    "size",
    "guard",
    "TorchScript",
    "profile, TOML",
    "configuration, TOML",
    "calibration table",
    "report.json",
    "cache entry",
    "versions",
)
_LONGEST_S = 20  # for one input; this machine may be busy with others


def main(seconds: float, readers: Sequence[str]) -> None:
    """Fuzz each reader for its share of the time, and print the number of inputs and of the branches reached."""
    print(f"atheris {version('atheris')}, Python {sys.version.split()[0]}\n")
    print(f"{'reader':26}{'inputs':>10}{'branches at start':>19}{'at the end':>12}{'kept inputs':>13}")
    total = 0
    for reader in readers:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.fuzz_coverage", "--reader", reader, folder]
            command += [f"{max(1, round(seconds / len(readers)))}"]
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        runs = re.search(r"Done (\d+) runs", done.stderr)
        covered = re.findall(r"cov: (\d+).*?corp: (\d+)", done.stderr)
        if done.returncode != 0 or runs is None:
            raise RuntimeError(f"{reader}: {done.stderr[-3000:]}")
        total += int(runs[1])
        first, last = (int(covered[0][0]), int(covered[-1][0])) if covered else (0, 0)
        kept = covered[-1][1] if covered else "0"
        print(f"{reader:26}{int(runs[1]):>10,}{first:>19,}{last:>12,}{kept:>13}", flush=True)
    print(f"\n{total:,} inputs; no finding")


def _run(reader: str, folder: Path, seconds: str) -> None:
    import atheris

    with atheris.instrument_imports(include=["runtimes", "hwbench", "toolchain"]):
        from benchmarks import fuzz
    from runtimes.errors import EdgewrightError

    work = folder / "work"
    work.mkdir()
    with atheris.instrument_imports(include=["toolchain", "hwbench", "runtimes"]):
        target, seeds = next(group[reader] for make in fuzz.target_groups(work) if reader in (group := make()))
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)

    def one(data: bytes) -> None:
        with contextlib.suppress(EdgewrightError, fuzz._Refused):
            target(data)

    largest = 2 * max(map(len, seeds))
    options = [f"-max_total_time={seconds}", f"-timeout={_LONGEST_S}", f"-max_len={largest}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reader"]:
        _run(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 600, sys.argv[2:] or _READERS)
