"""Datasets of arrays in memory, for tests that write no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hwbench.data.dataset import Dataset
from runtimes import samples
from runtimes.sample_arrays import Rows
from runtimes.tensors import TensorSpec


def in_memory(specs: Sequence[TensorSpec], arrays: Mapping[str, Rows]) -> Dataset:
    """A dataset whose file does not exist: good for all but a measuring process."""
    return Dataset(Path("in-memory"), tuple(specs), arrays, samples.count(specs, arrays))
