"""edgewright saturation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from hwbench.data import dataset
from hwbench.machine import device_profiles
from runtimes.codec import encode
from runtimes.npz import open_arrays
from runtimes.profile import QuantizationScheme
from toolchain.analysis.saturation import LayerSaturation, saturation
from toolchain.calibration import table_cache
from toolchain.calibration.sample_factory import as_npz
from toolchain.candidates import candidate
from toolchain.candidates.candidate import DEFAULT_CALIBRATION
from toolchain.cli._options import calibration_option, correction_option, input_option
from toolchain.models.onnx_model import is_quantized, load_ir
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe
from toolchain.sources.input_specs import parse_input
from toolchain.sources.open_source import open_source


@click.command()
@click.argument("source")
@input_option
@calibration_option("to look at, and to quantize a float model with", required=True)
@click.option("--method", default=DEFAULT_CALIBRATION, show_default=True, help="How a float model's ranges are chosen.")
@click.option(
    "--profile", metavar="NAME|FILE.toml", help="Quantize a float model as this device asks; in full 8 bits, if none."
)
@correction_option
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(
    source: str,
    inputs: tuple[str, ...],
    calibration: Path,
    method: str,
    profile: str | None,
    corrections: tuple[str, ...],
    form: str,
) -> None:
    """List the int8 layers that an x86 CPU without VNNI would compute wrongly, and by how much.

    Such a CPU adds pairs of u8 x s8 products in 16 bits. "pairs" is the share of them that do not fit, "excess" how
    far the largest is beyond, "error" what that does to the layer's output, relative to it. Works on any machine. A
    float SOURCE is quantized first; one that is int8 already is taken as it is.

    \b
    edgewright saturation model.onnx --calibration c.npz
    """
    device = device_profiles.load(profile) if profile else None
    scheme = device.quantization.get(device.runtimes[0], QuantizationScheme()) if device else QuantizationScheme()
    recipe = Recipe("int8", method, scheme, corrections=candidate.corrections(corrections))
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        specs = [parse_input(text) for text in inputs]
        file = as_npz(calibration, Path(work))
        model = open_source(source, specs, Path(work, "source.onnx"), open_arrays(file))
        samples = dataset.read(file, model.inputs, called=str(calibration))
        if not is_quantized(load_ir(model.path)):
            model = quantize(model, recipe, samples, Path(work, "int8.onnx"), cache=table_cache.open_cache())
        layers = saturation(load_ir(model.path), model.inputs, samples.arrays)
    if form == "json":
        click.echo(json.dumps([encode(layer) for layer in layers], indent=1))
    else:
        _print(layers, samples.n)


def _print(layers: Sequence[LayerSaturation], n: int) -> None:
    saturating = [layer for layer in layers if layer.largest_excess]
    if saturating:
        table = Table("layer", "operator", box=None, pad_edge=False)
        for name in ("pairs", "excess", "error"):
            table.add_column(name, justify="right")
        for layer in saturating:
            figures = (f"{layer.share:.3%}", str(layer.largest_excess), f"{layer.relative_error:.2%}")
            table.add_row(layer.node, layer.op, *figures)
        Console().print(table)
    click.echo(
        f"{len(saturating)} of {len(layers)} layers with u8 activations and s8 weights saturate on {n} samples; "
        "depthwise ones have a kernel that cannot"
    )
