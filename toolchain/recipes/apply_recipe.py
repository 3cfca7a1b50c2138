"""One recipe, applied to one model."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from hwbench.progress import say
from runtimes import samples
from runtimes.cache import Cache
from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain import corrections
from toolchain.calibration.calibrate import calibrate as observe_ranges
from toolchain.calibration.table import CalibrationTable
from toolchain.calibration.table_cache import causes
from toolchain.graphs.value_range import Range
from toolchain.models.onnx_model import CORRECTIONS_KEY, OnnxModel, is_quantized, load_ir, save_ir
from toolchain.models.prepare import prepare
from toolchain.models.repair import mended
from toolchain.quantizers import quantizer, range_quantizer
from toolchain.recipes.qdq_placement import place
from toolchain.recipes.recipe import Recipe
from toolchain.sources.input_specs import example_samples

REFERENCE = "fp32"
"""The precision that is the source as it is."""


def quantize(
    model: OnnxModel,
    recipe: Recipe,
    calibration: Dataset | None,
    out: Path,
    *,
    known: Calibrated | None = None,
    table: CalibrationTable | None = None,
    cache: Cache | None = None,
) -> OnnxModel:
    """Make a model's variant.

    Args:
        model: the source.
        recipe: what to make of it.
        calibration: samples for recipes that observe ranges.
        out: the file to write.
        known: the source's graph after `calibrated`, where several variants share it; left as it is.
        table: ranges for quantizers that cannot do without, in place of what the samples show. They are the source's
            own, so corrections that change what activations hold are left out.
        cache: as for `calibrate`.

    Returns:
        The variant; its `source_sha256` is the source's.

    Raises:
        UsageError: the recipe needs samples and there are none, or does not apply to this model; says why.
        BackendError: ONNX Runtime does not run what was made; its reason, and the node.
    """
    if recipe.precision == REFERENCE:
        return model
    if is_quantized(load_ir(model.path)):
        raise UsageError("The model is quantized already; it is packed as it is.")
    ready = known or calibrated(prepare(model), recipe, calibration, model.inputs, table, cache)

    def make(kept: tuple[str, ...]) -> OnnxModel:
        wanted = dataclasses.replace(recipe, keep=(*recipe.keep, *kept))
        graph = keeping(ready, wanted.keep).model if kept else ready.model
        return save_ir(quantizer(recipe.precision).quantize(graph.clone(), wanted, ready.ranges), out)

    names = {str(node.name) for node in ready.model.graph.all_nodes()}
    made = mended(make, model.path, names, _feeds(model, calibration))
    return dataclasses.replace(made, source_sha256=model.source_sha256 or model.sha256)


@dataclass(frozen=True)
class Calibrated:
    """A graph that is ready for a quantizer.

    Attributes:
        reference: computes what the source does, in the channels that the quantized model will have.
        model: what is quantized: the reference after the corrections that follow calibration.
        ranges: by tensor; empty where the quantizer observes none.
    """

    reference: ir.Model
    model: ir.Model
    ranges: Mapping[str, Range]


def calibrated(
    graph: ir.Model,
    recipe: Recipe,
    calibration: Dataset | None,
    specs: Sequence[TensorSpec],
    table: CalibrationTable | None = None,
    cache: Cache | None = None,
) -> Calibrated:
    """Correct a graph and find its ranges, as the recipe says; for the arguments see `quantize`.

    Raises:
        UsageError: the quantizer or a correction needs samples and there are none, or they do not do; says why.
    """
    observable = calibration is not None and recipe.calibration is not None
    check_samples(recipe, samples=observable, table=table is not None)
    needs = quantizer(recipe.precision).NEEDS_RANGES
    ranges: Mapping[str, Range] = {}
    if needs == "yes" and table is not None:
        ranges = table.of(range_quantizer(recipe.precision).tensors(graph, recipe)).ranges
    elif needs != "no" and recipe.calibration is not None and calibration is not None:
        graph = correct(graph, recipe, "before", {}, calibration, specs)
        ranges = calibrate(graph, recipe, calibration, specs, cache).ranges
    if not ranges or not recipe.corrections or calibration is None:
        return Calibrated(graph, graph, ranges)
    return Calibrated(graph, correct(graph, recipe, "after", ranges, calibration, specs), ranges)


def check_samples(recipe: Recipe, *, samples: bool, table: bool) -> None:
    """Refuse a recipe that needs samples where there are none.

    Args:
        recipe: what is to be made.
        samples: whether there are any to calibrate with.
        table: whether there is a calibration table, which corrections cannot do with.

    Raises:
        UsageError: says what to give.
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


def keeping(known: Calibrated, keep: Collection[str]) -> Calibrated:
    """What was calibrated for a recipe that keeps no nodes, for one that keeps some.

    Corrections before calibration compute the same, so ranges hold for both; of those after it, what they did to nodes
    that stay in float now is undone.
    """
    if not keep or known.model is known.reference:
        return known
    model = known.model.clone()
    kept = {str(node.name) for node in place(model, (), known.ranges).nodes}
    kept -= {str(node.name) for node in place(model, keep, known.ranges).nodes}
    for name in corrections.names():
        model = corrections.correction(name).undo(model, known.reference, kept)
    return dataclasses.replace(known, model=model)


def calibrate(
    graph: ir.Model, recipe: Recipe, calibration: Dataset, specs: Sequence[TensorSpec], cache: Cache | None = None
) -> CalibrationTable:
    """Observe what a recipe's quantizer asks for, or find that it was observed before.

    Args:
        graph: the prepared float model; left as it is.
        recipe: names the quantizer and the calibration method.
        calibration: the samples.
        specs: the model's inputs.
        cache: the tables of earlier builds; None to look at the samples in any case.

    Raises:
        UsageError: an unknown method, or samples that do not do; says why.
        CalibrationInterrupted: Ctrl-C, with what was seen until then.
    """
    quantizer = range_quantizer(recipe.precision)
    infinities = quantizer.COMPUTES_IN != "int8"  # every float format holds infinity, such as an attention mask's
    needed = quantizer.tensors(graph, recipe)
    every = quantizer.tensors(graph, dataclasses.replace(recipe, keep=())) if recipe.keep else needed
    watched = every if set(needed) <= set(every) else needed  # variants that keep other nodes share one table
    method = str(recipe.calibration)
    key = causes(graph, method, watched, calibration, infinities) if cache else None
    table = cache.get_value(CalibrationTable, key) if cache else None
    if table is None:
        table = observe_ranges(method, graph, watched, specs, calibration.arrays, infinities)
        if cache:
            cache.put_value(key, table)
            cache.trim()
    else:
        say(f"Ranges by {method} of these {table.samples:,} samples are known already.")
    table = table.of(needed)
    if table.unreached:
        say(f"No sample put anything into {', '.join(table.unreached)}; what reads or writes it stays in float.")
    return table


def correct(
    graph: ir.Model,
    recipe: Recipe,
    stage: Literal["before", "after"],
    ranges: Mapping[str, Range],
    calibration: Dataset,
    specs: Sequence[TensorSpec],
) -> ir.Model:
    """A float graph with the recipe's corrections of one stage applied; the one that is given stays as it is.

    What each did is in the graph's metadata, and so in the file that is made of it.

    Args:
        graph: the prepared graph.
        recipe: its `corrections` are applied in its order.
        stage: before calibration, or after it.
        ranges: what calibration gave; empty before.
        calibration: the samples.
        specs: the model's inputs.

    Raises:
        UsageError: an unknown correction, or samples that do not do; says why.
    """
    for name in recipe.corrections:
        correction = corrections.correction(name)
        if stage == correction.STAGE:
            graph, changed = correction.correct(graph.clone(), recipe, ranges, specs, calibration.arrays)
            done = graph.metadata_props.get(CORRECTIONS_KEY)
            graph.metadata_props[CORRECTIONS_KEY] = f"{done + ', ' if done else ''}{name} {changed}"
    return graph


def check_table(table: CalibrationTable, graph: ir.Model) -> None:
    """Refuse a calibration table that static int8 could not use for a graph.

    Raises:
        UsageError: it names a tensor that the graph does not have, or lacks one that int8 quantizes; says which.
    """
    values = [*graph.graph.inputs, *(value for node in graph.graph.all_nodes() for value in node.outputs)]
    table.check_known({str(value.name) for value in values})
    table.of(range_quantizer("int8").tensors(graph, Recipe("int8")))


def _feeds(model: OnnxModel, calibration: Dataset | None) -> Mapping[str, Array]:
    """One inference's, to try a file with."""
    arrays = calibration.arrays if calibration is not None else example_samples(model.inputs, 1)
    return next(samples.feeds(model.inputs, arrays))
