"""Application of a recipe to a model: corrections, calibration and quantization."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from hwbench.progress import say
from runtimes import samples
from runtimes.cache import Cache
from runtimes.errors import UsageError
from runtimes.profile import QuantizationScheme
from runtimes.tensors import Array
from toolchain import corrections
from toolchain.builders import builder
from toolchain.calibration.calibrate import TooFewSamplesError, observe_ranges
from toolchain.calibration.table import CalibrationTable
from toolchain.calibration.table_cache import dependencies
from toolchain.graphs.value_range import Range
from toolchain.graphs.weights import operands
from toolchain.models.onnx_model import CALIBRATION_KEY, OnnxModel, is_quantized, load_ir, save_ir
from toolchain.models.prepare import prepare
from toolchain.models.repair import make_runnable
from toolchain.quantizers import quantizer, range_quantizer
from toolchain.recipes.apply_corrections import correct
from toolchain.recipes.output_error import OutputError
from toolchain.recipes.qdq_placement import place
from toolchain.recipes.recipe import BEST, OFFERED, Recipe
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
    fit = builder(recipe.for_runtime).FIT_INT8 if recipe.for_runtime is not None else None
    if fit is not None:
        graph = fit(graph, recipe.scheme or QuantizationScheme())
    ranges: Mapping[str, Range] = {}
    if needs == "yes" and table is not None:
        ranges = table.of(range_quantizer(recipe.precision).tensors(graph, recipe)).ranges
    elif needs != "no" and recipe.calibration is not None and calibration is not None:
        graph = correct(graph, recipe, "before", {}, calibration)
        found = _best_table(graph, recipe, calibration, cache)
        ranges = found.ranges
        if needs == "yes":
            graph = graph.clone()
            graph.metadata_props[CALIBRATION_KEY] = found.method
    if not ranges or not recipe.corrections or calibration is None:
        return CalibratedGraph(graph, graph, ranges)
    return CalibratedGraph(graph, correct(graph, recipe, "after", ranges, calibration), ranges)


def _best_table(graph: ir.Model, recipe: Recipe, calibration: Dataset, cache: Cache | None) -> CalibrationTable:
    """Find the ranges by the recipe's method; for `BEST`, by the one that leaves int8's outputs closest to float's."""
    if recipe.calibration != BEST:
        return calibrate(graph, recipe, calibration, cache)
    first, *others = (dataclasses.replace(recipe, calibration=method) for method in OFFERED)
    best, error = calibrate(graph, first, calibration, cache), OutputError(graph, recipe, calibration)
    least = error.of(graph, best.ranges)
    for other in others:
        with contextlib.suppress(TooFewSamplesError):
            table = calibrate(graph, other, calibration, cache)
            left = error.of(graph, table.ranges)
            if left < least:
                best, least = table, left
    return best


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


def calibrate(graph: ir.Model, recipe: Recipe, calibration: Dataset, cache: Cache | None = None) -> CalibrationTable:
    """Find the ranges that a recipe's quantizer needs: in the cache, or from the samples.

    Args:
        graph: the prepared float model; it stays unchanged.
        recipe: the recipe, which names the quantizer and the calibration method.
        calibration: the samples.
        cache: the tables of earlier builds; None to observe the samples in any case.

    Raises:
        UsageError: the method is unknown, or the samples cannot be used.
        CalibrationInterrupted: Ctrl-C was pressed; the exception carries the ranges so far.
    """
    quantizer = range_quantizer(recipe.precision)
    infinities = quantizer.COMPUTES_IN != "int8"  # float formats hold infinity, which attention masks use
    needed = quantizer.tensors(graph, recipe)
    every = quantizer.tensors(graph, dataclasses.replace(recipe, keep=())) if recipe.keep else needed
    observed = every if set(needed) <= set(every) else needed  # so that variants which keep other nodes share a table
    method = str(recipe.calibration)
    key = dependencies(graph, method, observed, calibration, infinities) if cache else None
    table = cache.get_value(CalibrationTable, key) if cache else None
    if table is None:
        table = observe_ranges(method, graph, observed, calibration, infinities)
        if cache:
            cache.put_value(key, table)
            cache.trim()
    else:
        say(f"The {method} ranges of these {table.samples:,} samples come from the cache.")
    table = table.of(needed)
    if table.unobserved:
        names = ", ".join(table.unobserved)
        say(f"No calibration sample reached tensors {names}; the nodes that use them stay in float32.")
    return table


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
