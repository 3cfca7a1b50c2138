"""edgewright debug."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from hwbench.data import dataset
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes.codec import encode
from runtimes.errors import UsageError
from runtimes.npz import open_arrays
from runtimes.profile import QuantizationScheme
from toolchain.analysis.int8_errors import LayerError, layer_errors
from toolchain.calibration import table_cache
from toolchain.calibration.sample_factory import as_npz
from toolchain.candidates import candidate
from toolchain.candidates.candidate import DEFAULT_CALIBRATION
from toolchain.cli._options import calibration_option, correction_option, input_option, profile_option
from toolchain.models.onnx_model import CORRECTIONS_KEY, is_quantized, load_ir
from toolchain.models.prepare import prepare
from toolchain.recipes.apply_recipe import calibrate_graph
from toolchain.recipes.recipe import Recipe
from toolchain.sources.input_specs import parse_input
from toolchain.sources.open_source import open_source


@click.command()
@click.argument("source")
@input_option
@calibration_option("to observe ranges and errors on", required=True)
@click.option("--method", default=DEFAULT_CALIBRATION, show_default=True, help="How ranges are chosen.")
@profile_option
@correction_option
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many layers the text shows; JSON has all.",
)
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(
    source: str,
    inputs: tuple[str, ...],
    calibration: Path,
    method: str,
    profile: str | None,
    corrections: tuple[str, ...],
    most: int,
    form: str,
) -> None:
    """Show which layers lose accuracy in int8, worst first.

    Quantizes SOURCE for the profile's first runtime and compares every layer with float32 on the same samples.
    "own" is what a layer adds itself, "total" what has added up until its output; both are signal-to-noise ratios
    in dB, where 6 dB more is half the error.

    \b
    edgewright debug model.onnx --calibration c.npz --method percentile
    """
    device = device_profiles.load(profile) if profile else device_profiles.detect(this_machine())
    scheme = device.quantization.get(device.runtimes[0], QuantizationScheme())
    recipe = Recipe("int8", method, scheme, corrections=candidate.corrections(corrections))
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        specs = [parse_input(text) for text in inputs]
        file = as_npz(calibration, Path(work))
        model = open_source(source, specs, Path(work, "source.onnx"), open_arrays(file))
        if is_quantized(load_ir(model.path)):
            raise UsageError(f"'{source}' is quantized already; give the float model it was made from.")
        samples = dataset.read(file, model.inputs, called=str(calibration))
        known = calibrate_graph(prepare(model), recipe, samples, model.inputs, cache=table_cache.open_cache())
        errors = layer_errors(known, recipe, model.inputs, samples.arrays)
    done = known.model.metadata_props.get(CORRECTIONS_KEY)
    click.echo(f"corrections, and the operators that each changed: {done or 'none'}", err=True)
    if form == "json":
        click.echo(json.dumps([_finite(error) for error in errors], indent=1))
    else:
        _print(errors, most)


def _finite(error: LayerError) -> dict[str, object]:
    """A layer without any error has no ratio; JSON knows no infinity."""
    return {name: None if value in (math.inf, -math.inf) else value for name, value in encode(error).items()}


def _print(errors: list[LayerError], most: int) -> None:
    table = Table("layer", "operator", box=None, pad_edge=False)
    for name in ("own dB", "total dB"):
        table.add_column(name, justify="right")
    for error in errors[:most]:
        table.add_row(error.node, error.op, f"{error.own:.1f}", f"{error.total:.1f}")
    Console().print(table)
    if len(errors) > most:
        click.echo(f"and {len(errors) - most} more layers, each with less error of its own; --most shows them")
