"""The comparison of an export with its source, at several sizes of each dynamic dimension."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnxruntime as ort

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from runtimes.verification.golden import slice_error
from toolchain.exporters._root_cause import root_cause
from toolchain.exporters.checks.exact_sigmoid import with_exact_sigmoid
from toolchain.exporters.checks.output_shapes import Shapes, shapes_of
from toolchain.exporters.checks.run_at_sizes import Run, Runs, run_at_sizes
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel, load_ir
from toolchain.sources.sized_runs import Call

FLOAT32_TOLERANCE = 1e-3
"""Relative, on different kernels; EfficientNet-lite0 shows 1e-6."""


def check_parity(
    model: OnnxModel,
    call: Call,
    inputs: Sequence[TensorSpec],
    feed: Mapping[str, Array],
    source: str,
    *,
    tolerance: float = FLOAT32_TOLERANCE,
    further: Mapping[str, Collection[int]] = MappingProxyType({}),
    line: Callable[[str], str] = lambda name: "",
) -> Runs[Shapes]:
    """Compare an exported model with its source on the example, and at other sizes.

    Args:
        model: the export; it may lack inputs that the source does not use.
        call: computes the source's outputs from arrays by input.
        inputs: the declared inputs.
        feed: the example.
        source: the source's name in errors.
        tolerance: the largest `slice_error` of an output. NaN is equal to NaN.
        further: sizes of a dimension that are worth a comparison of their own.
        line: finds the line of the source that depends on the size of a dimension; empty if none is found.

    Returns:
        The shapes that the export returned at each size, and the dimensions of which the source took one size alone.

    Raises:
        UsageError: the export fails where the source does not, or an output differs by more than arithmetic explains.
    """
    session = ort_session.session(model.path, called=f"the ONNX export of '{source}'")

    @functools.cache
    def exact() -> ort.InferenceSession | None:
        """Load the export without ONNX Runtime's Sigmoid, whose error is large beside small results."""
        graph = load_ir(model.path)
        written = with_exact_sigmoid(graph)
        return None if written is graph else ort_session.session(written)

    def compared(run: Run) -> Shapes:
        shapes = " and ".join(f"{name} {list(array.shape)}" for name, array in run.feed.items())
        subject = f"{f'Given {shapes}, the' if run.changed else 'The'} ONNX export of '{source}'"
        try:
            found = _computed(session, model, run.feed, subject)
            try:
                _compare(model, found, run.outputs, subject, tolerance)
            except UsageError:
                if (other := exact()) is None:
                    raise
                _compare(model, _computed(other, model, run.feed, subject), run.outputs, subject, tolerance)
        except UsageError as error:
            raise UsageError(f"{error} {_hint(run, line)}") from error
        return shapes_of(found)

    return run_at_sizes(inputs, feed, call, compared, further)


def _computed(
    session: ort.InferenceSession, model: OnnxModel, feed: Mapping[str, Array], subject: str
) -> Sequence[Array]:
    kept = {spec.name: feed[spec.name] for spec in model.inputs}
    try:
        computed: Sequence[Array] = session.run(None, kept)
    except Exception as error:  # ORT raises bare RuntimeErrors and a dozen pybind classes
        rejected = ", ".join(sorted(set(feed) - set(kept)))
        because = f" (the exporter dropped {rejected}, which it took for unused)" if rejected else ""
        raise UsageError(f"{subject} fails in ONNX Runtime: {root_cause(error)}{because}.") from error
    return computed


def _compare(
    model: OnnxModel, computed: Sequence[Array], expected: Sequence[Array], subject: str, tolerance: float
) -> None:
    if len(computed) != len(expected):
        raise UsageError(f"{subject} has {len(computed)} outputs, but the source returns {len(expected)} tensors.")
    for spec, actual, wanted in zip(model.outputs, computed, expected):
        difference = slice_error(*_without_common_nan(actual, wanted))
        if not difference <= tolerance:
            raise UsageError(
                f"{subject} computes something else: output '{spec.name}' differs by "
                f"{difference:.1e} (tolerance {tolerance:.0e})."
            )


def _without_common_nan(actual: Array, wanted: Array) -> tuple[Array, Array]:
    """Take NaN for 0 where both have it, as a model may that divides by a mask's sum."""
    if actual.shape != wanted.shape or actual.dtype.kind != "f" or wanted.dtype.kind != "f":
        return actual, wanted
    both = np.isnan(actual) & np.isnan(wanted)
    return (np.where(both, 0, actual), np.where(both, 0, wanted)) if both.any() else (actual, wanted)


def _hint(run: Run, line: Callable[[str], str]) -> str:
    """Suggest why an export differs; that it does not at the example's sizes tells much."""
    if not run.changed:
        return "Is the model in eval mode, and free of randomness?"
    where = line(run.changed[0]) if len(run.changed) == 1 else ""
    if not where:
        return "It is right at the sizes of the example alone; declare the sizes with --input."
    return (
        f"What the model does depends on the size of dimension '{run.changed[0]}' at {where}, and an export keeps one "
        "way alone; let the model do the same at every size, or declare the size with --input."
    )
