"""Application of a recipe to a model: corrections, calibration and quantization."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from runtimes import samples
from runtimes.cache import Cache
from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain import corrections
from toolchain.builders import builder
from toolchain.calibration.table import CalibrationTable
from toolchain.calibration.table_cache import graph_sha256
from toolchain.graphs.value_range import Range
from toolchain.graphs.weights import operands
from toolchain.models.onnx_model import CALIBRATION_KEY, OnnxModel, is_quantized, load_ir, save_ir
from toolchain.models.prepare import prepare
from toolchain.models.repair import make_runnable
from toolchain.quantizers import quantizer, range_quantizer
from toolchain.recipes.apply_corrections import correct
from toolchain.recipes.find_ranges import find_ranges
from toolchain.recipes.output_error import Noise, OutputError
from toolchain.recipes.qdq_placement import place
from toolchain.recipes.recipe import Recipe
from toolchain.sources.input_specs import example_samples

SOURCE_PRECISION = "fp32"
"""The source's own precision, for which no variant is made."""


def quantize(
    model: OnnxModel,
    recipe: Recipe,
    calibration: Dataset | None,
    out: Path,
    *,
    calibrated: CalibratedGraph | None = None,
    table: CalibrationTable | None = None,
    cache: Cache | None = None,
) -> OnnxModel:
    """Make a model's variant.

    Args:
        model: the source.
        recipe: the precision, its scheme and its corrections.
        calibration: samples for recipes that observe ranges.
        out: the file to write.
        calibrated: the result of `calibrate_graph`, if several variants share it; it stays unchanged.
        table: ranges to use instead of observed ones, for quantizers that need ranges. They belong to the source's own
            activations, so corrections that change activations are left out.
        cache: as for `calibrate`.

    Returns:
        The variant; its `source_sha256` is the source's.

    Raises:
        UsageError: the recipe needs samples and there are none, or it does not apply to this model.
        BackendError: ONNX Runtime does not run the variant; the message gives its reason and the node.
    """
    if recipe.precision == SOURCE_PRECISION:
        return model
    if is_quantized(load_ir(model.path)):
        raise UsageError("The model is quantized already; it is packed as it is.")
    ready = calibrated or calibrate_graph(prepare(model), recipe, calibration, table, cache)

    def make(kept: tuple[str, ...]) -> OnnxModel:
        wanted = dataclasses.replace(recipe, keep=(*recipe.keep, *kept))
        graph = keep_in_float(ready, wanted.keep).model if kept else ready.model
        return save_ir(quantizer(recipe.precision).quantize(graph.clone(), wanted, ready.ranges), out)

    feeds, as_written = _feeds(model, calibration), recipe.for_runtime is not None
    made = make_runnable(make, model.path, _changed(ready, recipe), feeds, as_written=as_written)
    return dataclasses.replace(made, source_sha256=model.source_sha256 or model.sha256)


@dataclass(frozen=True)
class CalibratedGraph:
    """A graph that is ready for a quantizer.

    Attributes:
        reference: the float graph after the corrections that precede calibration; it computes the source's outputs.
        model: the graph to quantize: the reference after the corrections that follow calibration.
        ranges: the activations' ranges by tensor; empty if the quantizer needs none.
    """

    reference: ir.Model
    model: ir.Model
    ranges: Mapping[str, Range]


def calibrate_graph(
    graph: ir.Model,
    recipe: Recipe,
    calibration: Dataset | None,
    table: CalibrationTable | None = None,
    cache: Cache | None = None,
) -> CalibratedGraph:
    """Correct a graph and find its ranges, as the recipe says; for the arguments see `quantize`.

    A graph for a runtime with known faults avoids them from here on.

    Raises:
        UsageError: the quantizer or a correction needs samples, and there are none or they cannot be used.
    """
    observable = calibration is not None and recipe.calibration is not None
    check_samples(recipe, samples=observable, table=table is not None)
    needs = quantizer(recipe.precision).NEEDS_RANGES
    graph = _fitted(graph, recipe)
    ranges: Mapping[str, Range] = {}
    noise: Noise | None = None
    error: OutputError | None = None
    if needs == "yes" and table is not None:
        ranges = table.of(range_quantizer(recipe.precision).tensors(graph, recipe)).ranges
    elif needs != "no" and recipe.calibration is not None and calibration is not None:
        graph = correct(graph, recipe, "before", {}, calibration)
        error = OutputError(graph, recipe, calibration)
        found = find_ranges(graph, recipe, calibration, cache, error)
        ranges, noise = found.table.ranges, found.noise
        if needs == "yes":
            graph = graph.clone()
            graph.metadata_props[CALIBRATION_KEY] = found.table.method
    if not ranges or not recipe.corrections or calibration is None:
        return CalibratedGraph(graph, graph, ranges)
    corrected = correct(graph, recipe, "after", ranges, calibration, error, noise)
    return CalibratedGraph(graph, corrected, ranges)


def calibration_key(graph: ir.Model, recipe: Recipe) -> tuple[str, Recipe]:
    """Identify what `calibrate_graph` makes of a recipe, which is the same for most runtimes.

    Args:
        graph: the prepared graph.
        recipe: the recipe.

    Returns:
        A key that is equal for recipes of which the same samples make the same calibrated graph.
    """
    fitted, scheme = _fitted(graph, recipe), recipe.scheme
    has_lstm = any(node.op_type == "LSTM" for node in fitted.graph.all_nodes())
    if recipe.precision == "int8" and scheme is not None and not has_lstm:
        scheme = dataclasses.replace(scheme, contrib_ops=False)  # static int8 uses them for LSTMs alone
    same = dataclasses.replace(recipe, scheme=scheme, for_runtime=None)
    return graph_sha256(fitted) if recipe.precision == "int8" else "", same


def _fitted(graph: ir.Model, recipe: Recipe) -> ir.Model:
    """Make a graph avoid the known faults of the runtime that a recipe is for."""
    fit = builder(recipe.for_runtime).FIT_INT8 if recipe.for_runtime is not None else None
    return fit(graph, recipe.scheme or QuantizationScheme()) if fit is not None else graph


def check_samples(recipe: Recipe, *, samples: bool, table: bool) -> None:
    """Check that a recipe which needs calibration samples has them.

    Args:
        recipe: the recipe to check.
        samples: there are calibration samples.
        table: there is a calibration table, which replaces samples for ranges but not for corrections.

    Raises:
        UsageError: samples are missing; the message says which option gives them.
    """
    if samples or quantizer(recipe.precision).NEEDS_RANGES != "yes":
        return
    if not table:
        raise UsageError(f"{recipe.precision} needs samples to observe ranges on; give --calibration FILE.npz.")
    if recipe.corrections:
        raise UsageError(
            f"The correction {recipe.corrections[-1]} needs samples too; give --calibration FILE.npz, or "
            "--correction none."
        )


def keep_in_float(calibrated: CalibratedGraph, keep: Collection[str]) -> CalibratedGraph:
    """Adapt a calibrated graph to a recipe that keeps some nodes in float.

    Corrections before calibration do not change what the graph computes, so the ranges stay valid. Corrections after
    calibration are undone for the nodes that now stay in float.

    Args:
        calibrated: the graph, calibrated for a recipe that keeps no nodes; it stays unchanged.
        keep: names of the nodes to keep.
    """
    if not keep or calibrated.model is calibrated.reference:
        return calibrated
    model = calibrated.model.clone()
    kept = {str(node.name) for node in place(model, (), calibrated.ranges).nodes}
    kept -= {str(node.name) for node in place(model, keep, calibrated.ranges).nodes}
    for name in corrections.names():
        model = corrections.correction(name).undo(model, calibrated.reference, kept)
    return dataclasses.replace(calibrated, model=model)


def check_table(table: CalibrationTable, graph: ir.Model) -> None:
    """Check that static int8 can use a calibration table for a graph.

    Raises:
        UsageError: the table names a tensor that the graph does not have, or lacks one that int8 quantizes.
    """
    values = [*graph.graph.inputs, *(value for node in graph.graph.all_nodes() for value in node.outputs)]
    table.check_known({str(value.name) for value in values})
    table.of(range_quantizer("int8").tensors(graph, Recipe("int8")))


def _changed(ready: CalibratedGraph, recipe: Recipe) -> set[str]:
    """Name the nodes that a variant changes: in static int8 those on integers, and those whose weights are stored."""
    nodes: Iterable[ir.Node] = ready.model.graph.all_nodes()
    if recipe.precision == "int8":
        placed = place(ready.model, recipe.keep, ready.ranges).nodes
        nodes = [*placed, *(operand.node for operand in operands(ready.model, recipe.keep))]
    return {str(node.name) for node in nodes}


def _feeds(model: OnnxModel, calibration: Dataset | None) -> Mapping[str, Array]:
    """Take one inference's inputs, to run a variant once."""
    arrays = calibration.arrays if calibration is not None else example_samples(model.inputs, 1)
    return next(samples.feeds(model.inputs, arrays))
