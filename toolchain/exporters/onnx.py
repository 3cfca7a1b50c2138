"""Exporter of `.onnx`, which uses the file itself once ONNX Runtime has loaded it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir
import onnxruntime as ort

from hwbench.progress import say
from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.tensors import Array, TensorSpec
from runtimes.verification.golden import relative_error
from toolchain.exporters._examples import example_feed
from toolchain.exporters._root_cause import root_cause
from toolchain.exporters.checks.declared_inputs import at_sizes, fixed_error, redeclare
from toolchain.exporters.checks.output_shapes import correct_outputs, shapes_of
from toolchain.exporters.checks.parity import FLOAT32_TOLERANCE
from toolchain.exporters.checks.run_at_sizes import run_at_sizes
from toolchain.graphs.float_width import compute_in_float32
from toolchain.models import ort_session
from toolchain.models.normal_form import normalize
from toolchain.models.onnx_model import OnnxModel, has_links, load_ir, open_model, save_copy, weights_dtype
from toolchain.sources.sizes import batches

_SIZES = ((2, 8), (2, 64), (1, 8), (1, 64))
"""Of the batch and of other dimensions that nothing is known of: pictures are large, and many files take one sample."""


def export(
    source: str,
    inputs: Sequence[TensorSpec],
    out: Path,
    samples: Mapping[str, Rows] | None = None,
    *,
    trusted: bool = False,
) -> OnnxModel:
    """Open an ONNX file.

    Args:
        source: the file.
        inputs: specs that replace wrong shapes in the file; may be empty.
        out: the corrected file to write, if a spec differs from the file or the file declares wrong shapes.
        samples: real samples to run the model on; random ones for inputs without.
        trusted: makes no difference, since an ONNX file holds no code.

    Raises:
        UsageError: the file is not usable ONNX, ONNX Runtime refuses it, a spec names an input that it lacks, or
            takes one size alone of a dimension that a spec declares dynamic.
    """
    original, graph = open_model(Path(source)), load_ir(Path(source))
    is_double = weights_dtype(graph) == ir.DataType.DOUBLE
    model = _in_normal_form(original, graph, is_double, out)
    corrections = {spec.name: spec for spec in inputs}
    unknown = sorted(set(corrections) - {spec.name for spec in model.inputs})
    if unknown:
        raise UsageError(
            f"'{source}' has no input {', '.join(map(repr, unknown))}; it takes {', '.join(map(str, model.inputs))}."
        )
    before = {spec.name: spec for spec in model.inputs}
    if any(corrections.get(spec.name, spec) != spec for spec in model.inputs):
        model = redeclare(model, corrections, out)
    session = ort_session.session(model.path, _as_written(), called=f"'{source}'")
    feed = _example(model, session, before, samples)
    if feed is None:
        return model
    if is_double:
        _check_float32(original, session, feed)
    runs = run_at_sizes(
        model.inputs, feed, lambda arrays: session.run(None, dict(arrays)), lambda run: shapes_of(run.outputs)
    )
    fixed = {name: runs.seen[0][0][name] for name in runs.fixed}
    if any(name in spec.shape for name in fixed for spec in inputs):
        reason = f"ONNX Runtime says of another size: {root_cause(next(iter(runs.fixed.values())))}."
        raise fixed_error(source, model.inputs, fixed, reason)
    if fixed:
        static = [at_sizes(spec, fixed) for spec in model.inputs]
        model = redeclare(model, {spec.name: spec for spec in static}, out)
    return correct_outputs(model, runs.seen, out)


def _in_normal_form(model: OnnxModel, graph: ir.Model, is_double: bool, out: Path) -> OnnxModel:
    """Write a copy in the form that the toolchain and ONNX Runtime take, if the file has another one."""
    is_other = normalize(graph) or has_links(graph)
    if is_double:
        say(
            f"'{model.path}' computes in float64; it is converted to float32, as runtimes have few kernels for float64."
        )
        compute_in_float32(graph, ir.DataType.DOUBLE)
    return save_copy(model, graph, out) if is_other or is_double else model


def _as_written() -> ort.SessionOptions:
    """Switch optimization off, without which ONNX Runtime checks a graph as well."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _example(
    model: OnnxModel,
    session: ort.InferenceSession,
    before: Mapping[str, TensorSpec],
    samples: Mapping[str, Rows] | None,
) -> dict[str, Array] | None:
    """Find example inputs that a model runs on; None if it takes none of the sizes that it is tried with.

    The sizes that its inputs had `before` --input replaced them are tried first.
    """
    pairs = [pair for spec in model.inputs for pair in zip(spec.shape, before[spec.name].shape)]
    known = {size: found for size, found in pairs if isinstance(size, str) and isinstance(found, int)}
    for batch, default in _SIZES:
        sizes = {**dict.fromkeys(sorted(batches(model.inputs)), batch), **known}
        feed = example_feed(model.inputs, samples, known=sizes, default=default)
        with contextlib.suppress(Exception):  # ONNX Runtime raises RuntimeErrors and a dozen pybind classes
            session.run(None, feed)
            return feed
    return None


def _check_float32(source: OnnxModel, converted: ort.InferenceSession, feed: Mapping[str, Array]) -> None:
    """Compare a float64 model with its float32 form, if ONNX Runtime has kernels for the former.

    Raises:
        UsageError: an output differs by more than float32 explains.
    """
    try:
        exact = ort_session.session(source.path).run(None, dict(feed))
    except Exception:  # a UsageError without kernels, and ONNX Runtime's own errors where the file's shapes are wrong
        return
    for spec, found, expected in zip(source.outputs, converted.run(None, dict(feed)), exact):
        error = relative_error(found, expected)
        if not error <= FLOAT32_TOLERANCE:
            raise UsageError(
                f"'{source.path}' computes in float64, and float32 changes its output '{spec.name}' by {error:.1e} "
                f"(tolerance {FLOAT32_TOLERANCE:.0e}), so it cannot be built."
            )
