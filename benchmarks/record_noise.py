"""Record what one unchanged model's latency does on this machine, for `benchmarks.gate_simulation` to draw from.

Two processes of the same bundle make a round, as when a model is gated against itself. Every sample, every probe and
what the system said are kept.

    python -m benchmarks.record_noise --minutes 8 benchmarks/data/noise.npz
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.stack import LAYERS, pack_stack
from hwbench.targets.local import LocalTarget
from runtimes.bundles.bundle import Bundle
from runtimes.npz import write
from runtimes.sampling.closed_loop import Block, SamplingPlan

PLAN = SamplingPlan(min_runs=20, max_runs=150, duration_s=0.3, warmup_limit_s=1.0)


def main() -> None:
    """Record for a while."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        bundle, inputs = pack_stack(LAYERS, Path(work)), Path(work, "inputs.npz")
        with Bundle(bundle) as opened:
            write(inputs, opened.golden("input", opened.manifest.artifact.inputs))
        end, blocks = time.monotonic() + 60 * options.minutes, []
        while time.monotonic() < end or len(blocks) % 2:
            blocks.append(LocalTarget().sample(bundle, inputs, PLAN))
    save(blocks, options.out)
    medians = [float(np.median(block.samples_ns)) / 1e6 for block in blocks]
    print(
        f"{len(blocks)} blocks, p50 {min(medians):.3f} to {max(medians):.3f} ms, {options.out.stat().st_size:,} bytes"
    )


def save(blocks: list[Block], out: Path) -> None:
    """Samples end to end with where each block ends; the rest one number per block."""
    conditions = [block.conditions for block in blocks]
    np.savez_compressed(
        out,
        samples_ns=np.concatenate([np.asarray(block.samples_ns, np.uint32) for block in blocks]),
        ends=np.cumsum([len(block.samples_ns) for block in blocks]),
        probe_ns=np.asarray([np.median(block.probe_ns) for block in blocks], np.uint32),
        wall_ns=np.asarray([c.wall_ns for c in conditions if c], np.uint32),
        waited_ns=np.asarray([c.waited_ns or 0 for c in conditions if c], np.uint32),
        stolen_ns=np.asarray([c.stolen_ns or 0 for c in conditions if c], np.uint32),
    )


if __name__ == "__main__":
    main()
