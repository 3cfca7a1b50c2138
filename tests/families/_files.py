"""Samples of mixed sizes in a file, as `--calibration` and `--evaluation` take them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runtimes import npz
from runtimes.sample_arrays import stack
from tests.families import Sample


def write(samples: Sequence[Sample], file: Path, *, labels: bool) -> Path:
    """Write samples to an .npz, with their labels or without."""
    names = [name for name in samples[0] if labels or not name.startswith("labels")]
    npz.write(file, {name: stack([np.asarray(sample[name]) for sample in samples]) for name in names})
    return file
