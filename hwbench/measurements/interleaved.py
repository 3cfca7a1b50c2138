"""Measure bundles on a target: latency in interleaved blocks, accuracy on labelled samples."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwbench.data.dataset import Dataset
from hwbench.measurements.latency import Latency
from hwbench.progress import Tick
from hwbench.targets import Target
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import EdgewrightError
from runtimes.npz import read as read_npz
from runtimes.npz import write as write_npz
from runtimes.sampling.closed_loop import Block, SamplingPlan
from runtimes.tensors import Array

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
    """Single-stream latency of several bundles, their blocks interleaved so that a disturbance hits all alike.

    Args:
        bundles: what to measure, by name.
        settings: what each is run with, for the record.
        inputs: an .npz of samples for each.
        target: where to measure.
        plan: how long each block lasts.
        tick: called after each block, also in place of those of a bundle that dropped out.
        blocks: processes per bundle.

    Returns:
        A latency per name, or the reason why there is none: a bundle that fails drops out, the others go on.
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


def outputs(bundle: Path, inputs: Path, target: Target) -> dict[str, Array]:
    """A bundle's outputs for every sample of an .npz, samples first.

    Raises:
        BackendError: the process that runs the model failed.
        UsageError: what it wrote is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        file = Path(folder, "outputs.npz")
        target.run(bundle, inputs, file)
        return read_npz(file)


def subset(dataset: Dataset, rows: Sequence[int], file: Path) -> Dataset:
    """Some of a dataset's samples, written to a file of their own."""
    arrays = {name: array[list(rows)] for name, array in dataset.arrays.items()}
    write_npz(file, arrays)
    labels = None if dataset.labels is None else dataset.labels[list(rows)]
    return Dataset(file, arrays, len(rows), labels)
