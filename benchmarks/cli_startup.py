"""Measure what the command line costs before it does anything.

Prints the CPU seconds (user + system, median of 5 processes) of each `edgewright COMMAND --help`, of
`edgewright profiles`, and of `edgewright build` with a path, a precision or a key that is wrong.

    python -m benchmarks.cli_startup | tee benchmarks/results/cli_startup.txt
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hwbench.machine.identity import this_machine
from runtimes import plugins

_PROCESSES = 5
_LIMIT_S = 0.25
_EDGEWRIGHT = "from toolchain.cli import main; main()"


def main() -> None:
    """Print a line per command line."""
    machine = this_machine()
    python = sys.version.split()[0]
    print(f"{machine.cpu}, {machine.cores} cores, Python {python}; CPU seconds, median of {_PROCESSES} processes\n")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("edgewright.toml").write_text('sauce = "model.onnx"\n')
        Path("model.onnx").touch()
        for arguments in (
            ["--help"],
            *([name, "--help"] for name in plugins.names("toolchain.cli")),
            ["profiles"],
            ["build", "nothing.onnx"],
            ["build", "model.onnx", "--precision", "int5"],
            ["build", "edgewright.toml"],
        ):
            seconds = statistics.median(_cpu_seconds(arguments) for _ in range(_PROCESSES))
            print(
                f"{seconds:6.3f}  edgewright {' '.join(arguments)}{'' if seconds <= _LIMIT_S else '  over the limit'}"
            )


def _cpu_seconds(arguments: list[str]) -> float:
    process = subprocess.Popen(
        [sys.executable, "-c", _EDGEWRIGHT, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, used = os.wait4(process.pid, 0)  # one process's own figures; getrusage adds up all children's
    process.returncode = 0  # it was waited for
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
