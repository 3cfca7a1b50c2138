"""Ranges that a recipe's quantizer needs: from the cache of tables or from the samples, by the best method."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from hwbench.data.dataset import Dataset
from hwbench.progress import say
from runtimes.cache import Cache
from toolchain.calibration.calibrate import TooFewSamplesError, observe_by_methods
from toolchain.calibration.table import CalibrationTable
from toolchain.calibration.table_cache import dependencies
from toolchain.quantizers import range_quantizer
from toolchain.recipes.output_error import Noise, OutputError
from toolchain.recipes.recipe import BEST, OFFERED, Recipe


@dataclass(frozen=True)
class FoundRanges:
    """The ranges of a recipe.

    Attributes:
        table: the ranges.
        noise: the noise that they leave at the outputs; None if there was nothing to choose.
    """

    table: CalibrationTable
    noise: Noise | None = None


def find_ranges(
    graph: ir.Model, recipe: Recipe, calibration: Dataset, cache: Cache | None, error: OutputError
) -> FoundRanges:
    """Find the ranges by the recipe's method; for `BEST`, by the one that leaves int8's outputs closest to float's.

    Args:
        graph: the prepared float model; it stays unchanged.
        recipe: the recipe, which names the quantizer and the calibration method.
        calibration: the samples.
        cache: as for `calibrate`.
        error: measures the error at the outputs of this graph.

    Raises:
        UsageError, CalibrationInterrupted: as in `calibrate`.
    """
    if recipe.calibration != BEST:
        return FoundRanges(calibrate(graph, recipe, calibration, cache))
    tables = _tables(OFFERED, graph, recipe, calibration, cache).values()
    best, *others = ((table, error.of(graph, table.ranges)) for table in tables)
    for other in others:
        best = other if other[1].is_below(best[1]) else best
    return FoundRanges(*best)


def calibrate(graph: ir.Model, recipe: Recipe, calibration: Dataset, cache: Cache | None = None) -> CalibrationTable:
    """Find the ranges by one method: in the cache, or from the samples.

    Args:
        graph: the prepared float model; it stays unchanged.
        recipe: the recipe, which names the quantizer and the calibration method.
        calibration: the samples.
        cache: the tables of earlier builds; None to observe the samples in any case.

    Raises:
        UsageError: the method is unknown, or the samples cannot be used.
        CalibrationInterrupted: Ctrl-C was pressed; the exception carries the ranges so far.
    """
    method = str(recipe.calibration)
    return _tables([method], graph, recipe, calibration, cache)[method]


def _tables(
    methods: Sequence[str], graph: ir.Model, recipe: Recipe, calibration: Dataset, cache: Cache | None
) -> Mapping[str, CalibrationTable]:
    """Find the tables of several methods, all that are not in the cache in one pass over the samples."""
    quantizer = range_quantizer(recipe.precision)
    infinities = quantizer.COMPUTES_IN != "int8"  # float formats hold infinity, which attention masks use
    needed = quantizer.tensors(graph, recipe)
    every = quantizer.tensors(graph, dataclasses.replace(recipe, keep=())) if recipe.keep else needed
    observed = every if set(needed) <= set(every) else needed  # so that variants which keep other nodes share a table
    keys = {method: dependencies(graph, method, observed, calibration, infinities) for method in methods if cache}
    known = _recalled(keys, cache) if cache else {}
    missing = [method for method in methods if method not in known]
    made: Mapping[str, CalibrationTable] = {}
    with contextlib.suppress(*([TooFewSamplesError] if known else [])):
        made = observe_by_methods(missing, graph, observed, calibration, infinities) if missing else {}
    if cache:
        for method, table in made.items():
            cache.put_value(keys[method], table)
        cache.trim()
    found = {**known, **made}
    tables = {method: found[method].of(needed) for method in methods if method in found}
    if unobserved := next(iter(tables.values())).unobserved:
        names = ", ".join(unobserved)
        say(f"No calibration sample reached tensors {names}; the nodes that use them stay in float32.")
    return tables


def _recalled(keys: Mapping[str, Mapping[str, object]], cache: Cache) -> Mapping[str, CalibrationTable]:
    """Find the tables that earlier builds made, by their methods."""
    tables = {method: cache.get_value(CalibrationTable, key) for method, key in keys.items()}
    known = {method: table for method, table in tables.items() if table is not None}
    if known:
        named, samples = " and ".join(known), next(iter(known.values())).samples
        say(f"The {named} ranges of these {samples:,} samples come from the cache.")
    return known
