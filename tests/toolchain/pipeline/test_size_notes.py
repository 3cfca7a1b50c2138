"""A report says which sizes the samples have, and which the source takes at most."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes import npz
from runtimes.bundles.input_limits import InputLimits
from runtimes.sample_arrays import stack
from runtimes.tensors import TensorSpec
from toolchain.pipeline.report_notes import single_sizes, size_notes


def samples(folder: Path, lengths: tuple[int, ...]) -> Dataset:
    npz.write(folder / "x.npz", {"x": stack([np.ones((length, 8), np.float32) for length in lengths])})
    return dataset.read(folder / "x.npz", [TensorSpec("x", "float32", ("N", "T", 8))])


@pytest.mark.parametrize(
    ("lengths", "warning"),
    [((5, 5), "All calibration samples have T = 5, so that is the size that was calibrated"), ((5, 2), "")],
)
def test_samples_of_one_length_are_warned_of(tmp_path: Path, lengths: tuple[int, ...], warning: str) -> None:
    found = single_sizes(samples(tmp_path, lengths), "calibration", "calibrated")
    assert "".join(found).startswith(warning)
    assert bool(found) == bool(warning)


@pytest.mark.parametrize(("sizes", "notes"), [({}, []), ({"T": 16}, ["The source takes T = 16 at most"])])
def test_the_largest_size_is_noted(tmp_path: Path, sizes: dict[str, int], notes: list[str]) -> None:
    builder = SimpleNamespace(calibration=None, limits=InputLimits(sizes))
    context = SimpleNamespace(builder=builder, scorer=SimpleNamespace(samples=samples(tmp_path, (5, 2))))
    assert [note.partition(";")[0] for note in size_notes(context)] == notes
