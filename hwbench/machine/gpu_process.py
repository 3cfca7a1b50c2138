"""Times of the parts of a bundle's inferences on a GPU, measured in a process of its own.

    python -m hwbench.machine.gpu_process BUNDLE --inputs FILE.npz --out FILE.json

Exit codes are those of `python -m runtimes`: 0 done; 2 for an error, with a sentence on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hwbench.machine import gpu_timing
from hwbench.machine.gpu_timing import GpuState
from runtimes import files, npz
from runtimes.codec import encode
from runtimes.command_line import exit_code
from runtimes.inference.load import load
from runtimes.processes.parent_death import end_with_parent
from runtimes.sampling.closed_loop import distinct_feeds

_RUNS = 200  # the median of 200 is stable, and a slow model of 100 ms takes 22 s with its warm-up


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure once and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m hwbench.machine.gpu_process", description="Time the parts of inferences on a GPU."
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--inputs", type=Path, required=True, help=".npz with an array per input, samples first")
    parser.add_argument("--out", type=Path, required=True, help="where the times' JSON goes")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _write(options))


def _write(options: argparse.Namespace) -> int:
    inputs = npz.read(options.inputs)
    with load(options.bundle, any_machine=True) as session, _state_reader() as read_state:
        times = gpu_timing.measure(session, distinct_feeds(session, inputs), _RUNS, read_state=read_state)
    with files.replacing(options.out) as beside:
        beside.write_text(json.dumps(encode(times)))
    return 0


@contextlib.contextmanager
def _state_reader() -> Iterator[Callable[[], GpuState | None]]:
    try:
        from hwbench.machine import gpu_state
    except ImportError:  # nvidia-ml-py comes with the extras for TensorRT alone
        yield lambda: None
        return
    with gpu_state.state_reader() as read_state:
        yield read_state


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main())
