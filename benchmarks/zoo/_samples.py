"""A model's two sets of samples, as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runtimes.tensors import Array


def write(folder: Path, calibration: Mapping[str, Array], evaluation: Mapping[str, Array], labels: Array) -> None:
    """Write `calibration.npz` and `evaluation.npz`.

    Args:
        folder: where to.
        calibration: an array per input, first axis the samples.
        evaluation: the same, of other samples.
        labels: one entry per evaluation sample.

    Raises:
        ValueError: a calibration sample is also an evaluation sample.
    """
    if not _keys(calibration).isdisjoint(_keys(evaluation)):
        raise ValueError(f"Calibration and evaluation of '{folder.parent}' share a sample; draw them apart.")
    save(folder / "calibration.npz", calibration)
    save(folder / "evaluation.npz", {**evaluation, "labels": labels})


def save(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write one .npz; pictures on plain ground shrink to a tenth."""
    np.savez_compressed(file, **arrays)


def _keys(arrays: Mapping[str, Array]) -> set[bytes]:
    """The bytes of each sample, all its inputs together."""
    return {b"".join(array[i].tobytes() for array in arrays.values()) for i in range(len(next(iter(arrays.values()))))}
