"""The command `edgewright saturation`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolchain.cli._option_types import FileOrName
from toolchain.cli._options import correction_option, method_option, text_or_json_option
from toolchain.cli._sample_options import calibration_option
from toolchain.cli._source_options import input_option, state_option, trust_option
from toolchain.recipes.recipe import BEST
from toolchain.sources.open_source import check_source

if TYPE_CHECKING:
    from runtimes.tensors import TensorSpec
    from toolchain.analysis.saturation import LayerSaturation


@click.command()
@click.argument("source")
@input_option
@trust_option
@state_option
@calibration_option("that layers are computed on, and a float model's ranges observed on", required=True)
@method_option(BEST)
@click.option(
    "--profile",
    type=FileOrName(),
    metavar="NAME|FILE.toml",
    help="Quantize a float model for this device; with all 8 bits, if not given.",
)
@correction_option
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
    form: str,
) -> None:
    """List the int8 layers that an x86 CPU without VNNI would compute wrongly, and by how much.

    Such a CPU adds pairs of u8 x s8 products in 16 bits. "pairs" is the share of pairs that do not fit, "excess" how
    far the largest is beyond the limit, "error" the resulting error of the layer's output, relative to the output.
    Works on any machine. A float SOURCE is quantized first; an int8 SOURCE is taken as it is.

    \b
    edgewright saturation model.onnx --calibration c.npz
    """
    check_source(source)
    from hwbench.machine import device_profiles
    from runtimes.codec import encode
    from runtimes.profile import QuantizationScheme
    from toolchain.analysis.saturation import saturation
    from toolchain.calibration import table_cache
    from toolchain.models.onnx_model import is_quantized, load_ir
    from toolchain.recipes.apply_recipe import quantize
    from toolchain.recipes.recipe import Recipe
    from toolchain.sources.open_with_samples import open_with_samples

    device = device_profiles.load(profile) if profile else None
    scheme = device.quantization.get(device.runtimes[0], QuantizationScheme()) if device else QuantizationScheme()
    recipe = Recipe("int8", method, scheme, corrections=corrections)
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        model, samples = open_with_samples(source, inputs, calibration, Path(work), states=states, trusted=trusted)
        if not is_quantized(load_ir(model.path)):
            model = quantize(model, recipe, samples, Path(work, "int8.onnx"), cache=table_cache.open_cache())
        layers = saturation(load_ir(model.path), samples)
    if form == "json":
        click.echo(json.dumps([encode(layer) for layer in layers], indent=1))
    else:
        _print(layers, samples.n)


def _print(layers: Sequence[LayerSaturation], n: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from hwbench.terminal_table import add_row

    saturating = [layer for layer in layers if layer.largest_excess]
    if saturating:
        table = Table("layer", "operator", box=None, pad_edge=False)
        for name in ("pairs", "excess", "error"):
            table.add_column(name, justify="right")
        for layer in saturating:
            figures = (f"{layer.share:.3%}", str(layer.largest_excess), f"{layer.relative_error:.2%}")
            add_row(table, layer.node, layer.op, *figures)
        Console().print(table)
    click.echo(
        f"{len(saturating)} of {len(layers)} layers with u8 activations and s8 weights saturate on {n} samples; "
        "the kernel of depthwise layers cannot saturate"
    )
