"""Replay of golden samples: a device runs recorded inputs and compares its outputs with the recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from runtimes.bundles.bundle import Bundle
from runtimes.errors import BundleError, TamperedError
from runtimes.inference.load import open_session
from runtimes.inference.session import Session
from runtimes.inference.step_sequences import count_samples, run_samples
from runtimes.sample_arrays import Rows
from runtimes.tensors import Array

_FLOAT32_TOLERANCE = 1e-3  # up to this tolerance, a bundle computes in float32
_FLOOR = 3e-2  # the least root mean square of a slice, as a share of the array's; see `slice_error`


@dataclass(frozen=True)
class GoldenResult:
    """The error of one output: `slice_error` for models that compute in float32, `relative_error` for others."""

    output: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """True if the error is within the tolerance; NaN is not."""
        return self.error <= self.tolerance


def replay(bundle: Bundle, *, any_machine: bool = False) -> tuple[GoldenResult, ...]:
    """Check every digest, run the golden inputs, and compare each output.

    Raises:
        TamperedError: a member differs from the one that was packed.
        FeedError: the golden arrays do not fit the model.
        EdgewrightError: the bundle cannot be loaded here; see `load`.
    """
    bundle.check()
    with open_session(bundle, any_machine=any_machine) as session:
        return compare(bundle, session)


def compare(bundle: Bundle, session: Session) -> tuple[GoldenResult, ...]:
    """Run the golden inputs through a session of a bundle's artifact, and compare each output.

    Raises:
        BundleError: there are no golden samples, or not as many as the manifest declares.
        FeedError: the golden arrays do not fit the model.
    """
    inputs = golden_inputs(bundle)
    held, declared = count_samples(session, inputs), bundle.manifest.golden.samples
    if held != declared:
        raise TamperedError(f"'{bundle.path}' holds {held} golden samples; the manifest declares {declared}.")
    return compare_outputs(bundle, run_samples(session, inputs))


def golden_inputs(bundle: Bundle) -> dict[str, Rows]:
    """Read the golden inputs, first axis the samples.

    Raises:
        BundleError: there are no golden samples.
    """
    if bundle.manifest.golden.samples < 1:
        raise BundleError(f"'{bundle.path}' holds no golden samples to compare its outputs with.")
    return bundle.golden("input", bundle.manifest.artifact.inputs)


def compare_outputs(bundle: Bundle, outputs: Mapping[str, Rows]) -> tuple[GoldenResult, ...]:
    """Compare outputs for the golden inputs, first axis the samples, with the recorded ones.

    Raises:
        BundleError: an output is missing.
    """
    recorded = bundle.golden("output", bundle.manifest.artifact.outputs)
    if missing := sorted(recorded.keys() - outputs.keys()):
        raise BundleError(f"'{bundle.path}' computed no output {', '.join(missing)}.")
    tolerance = bundle.manifest.golden.tolerance
    # With integers or halves, one rounding that differs between two machines moves small values by more than their own
    # size, so the norm of the whole output decides.
    error = slice_error if tolerance <= _FLOAT32_TOLERANCE else relative_error
    return tuple(
        GoldenResult(name, largest_error(error, outputs[name], recorded[name]), tolerance) for name in recorded
    )


def largest_error(error: Callable[[Array, Array], float], actual: Rows, expected: Rows) -> float:
    """Compute the error of an output by a function; of samples of mixed sizes, the largest of one sample."""
    if isinstance(actual, np.ndarray) and isinstance(expected, np.ndarray):
        return error(actual, expected)
    return float(np.max([error(one, other) for one, other in zip(actual, expected)]))  # NaN stays NaN


def relative_error(actual: Array, expected: Array) -> float:
    """Compute ||actual - expected|| / ||expected|| in float64.

    Returns:
        The error. Infinity if the shapes differ or an array holds no numbers; NaN if an array holds NaN or the two
        differ in an infinity. Infinities that both have, such as a log-softmax's, are left out.
    """
    if actual.shape != expected.shape or not _is_numeric(actual) or not _is_numeric(expected):
        return float("inf")
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are answers here
        ours, theirs = actual.astype(np.float64), expected.astype(np.float64)
        compared = ~(np.isinf(theirs) & (ours == theirs))
        ours, theirs = ours[compared], theirs[compared]
        if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
            return float("nan")
        difference, scale = float(np.linalg.norm(ours - theirs)), float(np.linalg.norm(theirs))
    return difference / scale if scale else difference


def slice_error(actual: Array, expected: Array) -> float:
    """Compute the largest `relative_error` of an array or of a slice of it along any axis.

    The norm of a whole array hides wrong scores of about 1 beside boxes of about 640, so slices count, too. A slice
    whose root mean square is below 3% of the array's is divided by 3% of the array's instead, since float32 errs by a
    part of the terms of a sum, not of a sum in which terms cancel. A tolerance of 1e-3 thus allows 3e-5 of the array's
    root mean square; deep networks show 1e-6, and 3e-6 in single elements.
    """
    whole = relative_error(actual, expected)
    if not np.isfinite(whole) or expected.dtype.kind != "f" or expected.size == 0:
        return whole
    with np.errstate(invalid="ignore", over="ignore"):
        theirs = expected.astype(np.float64)
        theirs = np.where(np.isfinite(theirs), theirs, 0.0)  # both have the same infinities, since `whole` is finite
        ours = np.where(np.isfinite(expected), actual.astype(np.float64), 0.0)
        floor = _FLOOR * float(np.sqrt(np.mean(theirs**2)))
        errors = [whole]
        for axis in range(expected.ndim if floor else 0):  # if all values are zeros, `whole` is the difference itself
            others = tuple(other for other in range(expected.ndim) if other != axis)
            difference = np.sqrt(np.mean((ours - theirs) ** 2, axis=others))
            scale = np.sqrt(np.mean(theirs**2, axis=others))
            errors.append(float(np.max(difference / np.maximum(scale, floor))))
    return float(np.max(errors))


def _is_numeric(array: Array) -> bool:
    return array.dtype.kind in "biuf"
