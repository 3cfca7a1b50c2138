"""The command `edgewright debug`."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtimes.errors import one_line
from toolchain.cli._options import (
    correction_option,
    method_option,
    profile_option,
    text_or_json_option,
)
from toolchain.cli._sample_options import calibration_option
from toolchain.cli._source_options import input_option, state_option, trust_option
from toolchain.recipes.recipe import BEST
from toolchain.sources.open_source import check_source

if TYPE_CHECKING:
    from runtimes.tensors import TensorSpec
    from toolchain.analysis.int8_errors import LayerError


@click.command()
@click.argument("source")
@input_option
@trust_option
@state_option
@calibration_option("that ranges and errors are observed on", required=True)
@method_option(BEST)
@profile_option
@correction_option
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="The number of layers that the text shows; JSON has all.",
)
@text_or_json_option
def command(
    source: str,
    inputs: tuple[TensorSpec, ...],
    trusted: bool,
    states: dict[str, str],
    calibration: Path,
    method: str,
    profile: str | None,
    corrections: tuple[str, ...],
    most: int,
    form: str,
) -> None:
    """Show which layers lose accuracy in int8, the worst first.

    Quantizes SOURCE for the profile's first runtime and compares every layer with float32 on the same samples.
    "own" is the error that a layer itself adds, "total" the error that has added up until its output. Both are
    signal-to-noise ratios in dB, where 6 dB more is half the error.

    \b
    edgewright debug model.onnx --calibration c.npz --method percentile
    """
    check_source(source)
    from hwbench.machine import device_profiles
    from hwbench.machine.identity import this_machine
    from runtimes.profile import QuantizationScheme
    from toolchain.analysis.int8_errors import layer_errors
    from toolchain.calibration import table_cache
    from toolchain.models.onnx_model import CORRECTIONS_KEY
    from toolchain.models.prepare import prepare
    from toolchain.recipes.apply_recipe import calibrate_graph
    from toolchain.recipes.recipe import Recipe
    from toolchain.sources.open_with_samples import open_float_with_samples

    device = device_profiles.load(profile) if profile else device_profiles.detect(this_machine())
    scheme = device.quantization.get(device.runtimes[0], QuantizationScheme())
    recipe = Recipe("int8", method, scheme, corrections=corrections)
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        model, samples = open_float_with_samples(
            source, inputs, calibration, Path(work), states=states, trusted=trusted
        )
        known = calibrate_graph(prepare(model), recipe, samples, cache=table_cache.open_cache())
        errors = layer_errors(known, recipe, samples)
    done = known.model.metadata_props.get(CORRECTIONS_KEY)
    click.echo(one_line(f"corrections, and the number of operators that each changed: {done or 'none'}"), err=True)
    if form == "json":
        click.echo(json.dumps([_finite(error) for error in errors], indent=1))
    else:
        _print(errors, most)


def _finite(error: LayerError) -> dict[str, object]:
    """Encode a layer's error. A layer without any has an infinite ratio, which JSON lacks; it becomes null."""
    from runtimes.codec import encode

    return {name: None if value in (math.inf, -math.inf) else value for name, value in encode(error).items()}


def _print(errors: list[LayerError], most: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from hwbench.terminal_table import add_row

    table = Table("layer", "operator", box=None, pad_edge=False)
    for name in ("own dB", "total dB"):
        table.add_column(name, justify="right")
    for error in errors[:most]:
        add_row(table, error.node, error.op, f"{error.own:.1f}", f"{error.total:.1f}")
    Console().print(table)
    if len(errors) > most:
        click.echo(f"and {len(errors) - most} more layers, each with less error of its own; --most shows them")
