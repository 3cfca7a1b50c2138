"""Exporter of `.onnx`, which uses the file itself once ONNX Runtime has loaded it."""

from __future__ import annotations

import contextlib
import dataclasses
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
from toolchain.exporters._quiet import root_cause
from toolchain.exporters.checks.declared_inputs import at_sizes, redeclare, refuse_fixed
from toolchain.exporters.checks.output_shapes import correct_outputs, shapes_of
from toolchain.exporters.checks.run_at_sizes import Runs, run_at_sizes
from toolchain.graphs.float_width import compute_in_float32
from toolchain.models import ort_session
from toolchain.models.normal_form import normalize
from toolchain.models.onnx_model import OnnxModel, has_links, load_ir, open_model, save_ir, weights_dtype
from toolchain.sources.sizes import batches

_SIZES = ((2, 8), (2, 64), (1, 8), (1, 64))
"""Of the batch and of other dimensions that nothing is known of: pictures are large, and many files take one sample."""

_TOLERANCE = 1e-3  # relative; that of float32 sources


def export(
    source: str, inputs: Sequence[TensorSpec], out: Path, samples: Mapping[str, Rows] | None = None
) -> OnnxModel:
    """Open an ONNX file.

    Args:
        source: the file.
        inputs: specs that replace wrong shapes in the file; may be empty.
        out: the corrected file to write, if a spec differs from the file or the file declares wrong shapes.
        samples: real samples to run the model on; random ones for inputs without.

    Raises:
        UsageError: the file is not usable ONNX, ONNX Runtime refuses it, a spec names an input that it lacks, or
            takes one size alone of a dimension that a spec declares dynamic.
    """
    model = _in_normal_form(open_model(Path(source)), samples, out)
    corrections = {spec.name: spec for spec in inputs}
    unknown = sorted(set(corrections) - {spec.name for spec in model.inputs})
    if unknown:
        raise UsageError(
            f"'{source}' has no input {', '.join(map(repr, unknown))}; it takes {', '.join(map(str, model.inputs))}."
        )
    digest, before = model.source_sha256 or model.sha256, {spec.name: spec for spec in model.inputs}
    if any(corrections.get(spec.name, spec) != spec for spec in model.inputs):
        model = dataclasses.replace(redeclare(model.path, corrections, out), source_sha256=digest)
    runs = _runs(model, _loaded(model, source), before, samples)
    if runs is None:
        return model
    fixed = {name: runs.runs[0].sizes[name] for name in runs.fixed}
    if any(name in spec.shape for name in fixed for spec in inputs):
        reason = f"ONNX Runtime says of another size: {root_cause(next(iter(runs.fixed.values())))}."
        raise refuse_fixed(source, model.inputs, fixed, reason)
    if fixed:
        static = [at_sizes(spec, fixed) for spec in model.inputs]
        model = redeclare(model.path, {spec.name: spec for spec in static}, out)
        model = dataclasses.replace(model, source_sha256=digest)
    return correct_outputs(model, [(run.sizes, shapes_of(run.outputs)) for run in runs.runs], out)


def _runs(
    model: OnnxModel,
    session: ort.InferenceSession,
    before: Mapping[str, TensorSpec],
    samples: Mapping[str, Rows] | None,
) -> Runs | None:
    """Run a model at several sizes; None if it takes none of those that it is tried with.

    The sizes that its inputs had `before` --input replaced them are tried first.
    """

    def call(feed: Mapping[str, Array]) -> Sequence[Array]:
        outputs: Sequence[Array] = session.run(None, dict(feed))
        return outputs

    pairs = [pair for spec in model.inputs for pair in zip(spec.shape, before[spec.name].shape)]
    known = {size: found for size, found in pairs if isinstance(size, str) and isinstance(found, int)}
    for batch, default in _SIZES:
        sizes = {**dict.fromkeys(sorted(batches(model.inputs)), batch), **known}
        feed = example_feed(model.inputs, samples, known=sizes, default=default)
        with contextlib.suppress(Exception):  # ONNX Runtime raises RuntimeErrors and a dozen pybind classes
            return run_at_sizes(model.inputs, feed, call)
    return None


def _in_normal_form(model: OnnxModel, samples: Mapping[str, Rows] | None, out: Path) -> OnnxModel:
    """Write a copy in the form that the toolchain and ONNX Runtime take, if the file has another one."""
    graph = load_ir(model.path)
    is_other, is_double = normalize(graph) or has_links(graph), weights_dtype(graph) == ir.DataType.DOUBLE
    if not is_other and not is_double:
        return model
    if is_double:
        compute_in_float32(graph, ir.DataType.DOUBLE)
    written = save_ir(graph, out)
    if is_double:
        _check_float32(model, written, samples)
    return dataclasses.replace(written, source_sha256=model.sha256)


def _check_float32(source: OnnxModel, converted: OnnxModel, samples: Mapping[str, Rows] | None) -> None:
    """Compare a float64 model with its float32 form, if ONNX Runtime has kernels for the former."""
    say(
        f"'{source.path}' computes in float64; it is converted to float32, since runtimes have few kernels for float64."
    )
    try:
        exact = ort_session.session(source.path)
    except UsageError:
        return
    feeds = example_feed(source.inputs, samples)
    outputs = [session.run(None, feeds) for session in (ort_session.session(converted.path), exact)]
    for spec, found, expected in zip(source.outputs, *outputs):
        error = relative_error(found, expected)
        if not error <= _TOLERANCE:
            raise UsageError(
                f"'{source.path}' computes in float64, and float32 changes its output '{spec.name}' by {error:.1e} "
                f"(tolerance {_TOLERANCE:.0e}), so it cannot be built."
            )


def _loaded(model: OnnxModel, source: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # ONNX Runtime checks the graph with optimization or without.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # errors arrive as exceptions
    try:
        return ort.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises RuntimeErrors and a dozen pybind classes
        raise UsageError(f"ONNX Runtime cannot load '{source}': {str(error).strip()[:500]}") from error
