"""A bundle proves itself on the device: recorded inputs, replayed, give the recorded outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtimes import samples
from runtimes.bundle import Bundle
from runtimes.errors import BundleError
from runtimes.loading import open_session
from runtimes.tensors import Array


@dataclass(frozen=True)
class GoldenResult:
    """How far one output is from what was recorded, as ||y - recorded|| / ||recorded||."""

    output: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Within the tolerance. NaN is not."""
        return self.error <= self.tolerance


def replay(bundle: Bundle, *, any_machine: bool = False) -> tuple[GoldenResult, ...]:
    """Check every digest, run the golden inputs, and compare each output.

    Raises:
        TamperedError: a member is not what was packed.
        FeedError: the golden arrays do not fit the model.
        EdgewrightError: the bundle cannot be loaded here; see `load`.
    """
    bundle.check()
    if bundle.manifest.golden.samples < 1:
        raise BundleError(f"'{bundle.path}' holds no golden samples to prove itself with.")
    artifact = bundle.manifest.artifact
    inputs = bundle.golden("input", artifact.inputs)
    recorded = bundle.golden("output", artifact.outputs)
    with open_session(bundle, any_machine=any_machine) as session:
        runs = [session.run(feed) for feed in samples.feeds(artifact.inputs, inputs)]
    outputs = samples.gather(runs, samples.batch_size(artifact.inputs, inputs))
    tolerance = bundle.manifest.golden.tolerance
    return tuple(GoldenResult(name, relative_error(outputs[name], recorded[name]), tolerance) for name in recorded)


def relative_error(actual: Array, expected: Array) -> float:
    """||actual - expected|| / ||expected|| in float64; infinity for another shape, NaN where either has NaN."""
    if actual.shape != expected.shape:
        return float("inf")
    wide = expected.astype(np.float64)
    difference = float(np.linalg.norm(actual.astype(np.float64) - wide))
    scale = float(np.linalg.norm(wide))
    return difference / scale if scale else difference
