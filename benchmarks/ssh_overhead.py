"""Cost of measuring over ssh: the same blocks on this machine directly, and through a server on the loopback interface.

    python -m benchmarks.ssh_overhead | tee benchmarks/results/ssh_overhead.txt

Needs OpenSSH's server, as the tests do (`make sshd`), which runs with keys and a configuration of its own. The ways
take turns in random order, so that other work on the machine meets all alike. What ssh adds to a block is time around
the process that measures, and not within it: the latencies have to agree. The user's login scripts run at each call.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.stack import LAYERS, pack_stack
from hwbench.boards import environments
from hwbench.formats.sections.provenance import describe
from hwbench.machine.identity import this_machine
from hwbench.results.opened_bundle import open_bundle
from hwbench.stats import intervals
from hwbench.targets.local import LocalTarget
from hwbench.targets.ssh import SshTarget, open_ssh
from runtimes import npz
from runtimes.sampling.closed_loop import Block, SamplingPlan
from tests.helpers import loopback_board

ROUNDS = 40
PLAN = SamplingPlan(min_runs=20, max_runs=10**9, duration_s=0.1)  # a block of the gate


def main() -> None:
    """Print both tables."""
    version = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr.strip()
    print(f"{describe(this_machine())}, {version}; {ROUNDS} rounds\n")
    with tempfile.TemporaryDirectory() as name:
        work, folder = Path(name), Path(name, "board")
        folder.mkdir()
        bundle, inputs = pack_stack(LAYERS, work / "stack"), work / "inputs.npz"
        npz.write(inputs, open_bundle(bundle).inputs)
        board = loopback_board.start(folder)
        try:
            with loopback_board.client(board):
                start = time.perf_counter()
                with open_ssh(board.address) as target:
                    target.sample(bundle, inputs, PLAN)
                    first_s = time.perf_counter() - start
                    _compare(target, board.port, bundle, inputs)
        finally:
            loopback_board.stop(board)
    print(f"\nThe first block took {first_s:.1f} s, with logging in, our code and the bundle on their way.")


def _compare(target: SshTarget, port: int, bundle: Path, inputs: Path) -> None:
    blocks: dict[str, list[Block]] = {"here": [], "over ssh": []}
    log_in = ["ssh", "-p", str(port), "board", "true"]
    ways: dict[str, Callable[[], object]] = {
        "a block here": lambda: blocks["here"].append(LocalTarget().sample(bundle, inputs, PLAN)),
        "a block over ssh": lambda: blocks["over ssh"].append(target.sample(bundle, inputs, PLAN)),
        "an agent that does nothing": lambda: environments.describe(target.board.connection),
        "logging in, which a block does not need": lambda: subprocess.run(log_in, check=True),
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    order = random.Random(0)
    for _ in range(ROUNDS):
        for way in order.sample(sorted(ways), len(ways)):
            start = time.perf_counter()
            ways[way]()
            seconds[way].append(time.perf_counter() - start)
    print(f"{'seconds, median':42}{'s':>8}{'95% interval':>18}")
    for way in ways:
        print(_row(way, seconds[way]))
    added = [there - here for here, there in zip(seconds["a block here"], seconds["a block over ssh"])]
    print(_row("what ssh adds to a block", added))
    print(f"\n{'latency: medians of the blocks':42}{'ms':>8}{'95% interval':>18}")
    medians = {way: [statistics.median(block.samples_ns) / 1e6 for block in made] for way, made in blocks.items()}
    for way, values in medians.items():
        print(_row(way, values))
    ratios = [there / here for here, there in zip(medians["here"], medians["over ssh"])]
    print(_row("ratio, block by block", ratios))


def _row(name: str, values: list[float]) -> str:
    found = intervals.quantile(np.asarray(values), 0.5)
    return f"{name:42}{found.value:>8.3f}{f'{found.low:.3f} to {found.high:.3f}':>18}"


if __name__ == "__main__":
    main()
