"""Measurement of bundles on a target: latency in interleaved blocks, outputs for labelled samples."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwbench.data.dataset import Dataset
from hwbench.measurements.latency import Latency
from hwbench.progress import Tick
from hwbench.targets import Runner, Target
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import EdgewrightError
from runtimes.npz import read as read_npz
from runtimes.npz import write as write_npz
from runtimes.sample_arrays import Rows
from runtimes.sampling.closed_loop import Block, SamplingPlan

BLOCKS = 6
"""Processes per artifact. The range of six medians covers the median process with probability 1 - 2 / 2**6 = 97%."""


def latency(
    bundles: Mapping[str, Path],
    settings: Mapping[str, RuntimeSettings],
    inputs: Mapping[str, Path],
    target: Target,
    plan: SamplingPlan,
    tick: Tick,
    blocks: int = BLOCKS,
) -> dict[str, Latency | str]:
    """Measure single-stream latency of several bundles in interleaved blocks, so that interference affects all alike.

    Args:
        bundles: paths by name.
        settings: the settings that each runs with, which the latency records.
        inputs: an .npz of samples for each.
        target: the machine that measures.
        plan: duration of each block.
        tick: called after each block, and for the missing blocks of a bundle that failed.
        blocks: processes per bundle.

    Returns:
        A latency per name, or the reason why it is missing: if one bundle fails, the others are still measured.
    """
    measured: dict[str, list[Block]] = {name: [] for name in bundles}
    failed: dict[str, str] = {}
    for _ in range(blocks):
        for name, bundle in bundles.items():
            if name not in failed:
                try:
                    measured[name].append(target.sample(bundle, inputs[name], plan))
                except EdgewrightError as error:
                    failed[name] = str(error)
            tick(f"measured {name}")
    return {
        name: failed[name] if name in failed else _single_stream(measured[name], settings[name].threads)
        for name in bundles
    }


def _single_stream(blocks: Sequence[Block], threads: int) -> Latency:
    return Latency("single_stream", blocks[0].batch, threads, tuple(blocks))


def outputs(bundle: Path, inputs: Path, target: Runner) -> dict[str, Rows]:
    """Compute a bundle's outputs for every sample of an .npz, samples first.

    Raises:
        BackendError: the process that runs the model failed.
        UsageError: the file that it wrote is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        file = Path(folder, "outputs.npz")
        target.run(bundle, inputs, file)
        return read_npz(file)


def subset(dataset: Dataset, rows: Sequence[int], file: Path) -> Dataset:
    """Write some of a dataset's samples to a file of their own."""
    arrays = {name: array[list(rows)] for name, array in dataset.arrays.items()}
    write_npz(file, arrays)
    labels = None if dataset.labels is None else dataset.labels[list(rows)]
    of_outputs = {name: array[list(rows)] for name, array in dataset.labels_of.items()}
    return Dataset(file, dataset.specs, arrays, len(rows), labels, of_outputs, states=dataset.states)
