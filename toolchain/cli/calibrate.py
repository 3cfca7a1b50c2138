"""edgewright calibrate."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from hwbench.data import dataset
from runtimes.errors import UsageError
from runtimes.npz import open_arrays
from runtimes.profile import QuantizationScheme
from toolchain.calibration import table, table_cache
from toolchain.calibration.calibrate import CalibrationInterrupted
from toolchain.calibration.sample_factory import as_npz
from toolchain.candidates.candidate import DEFAULT_CALIBRATION
from toolchain.cli._options import calibration_option, input_option
from toolchain.models.onnx_model import is_quantized, load_ir
from toolchain.models.prepare import prepare
from toolchain.output_folder import output_folder
from toolchain.recipes.apply_recipe import calibrate
from toolchain.recipes.recipe import Recipe
from toolchain.sources.input_specs import parse_input
from toolchain.sources.open_source import open_source

_INTERRUPTED = 130


@click.command()
@click.argument("source")
@input_option
@calibration_option("to observe", required=True)
@click.option("--method", default=DEFAULT_CALIBRATION, show_default=True, help="How ranges are chosen.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("table.json"),
    show_default=True,
    metavar="FILE.json",
    help="Where the table goes.",
)
@click.pass_context
def command(
    ctx: click.Context, source: str, inputs: tuple[str, ...], calibration: Path, method: str, out: Path
) -> None:
    """Write the ranges of the tensors that int8 quantizes to a file, to look at, to edit and to build with.

    Ctrl-C keeps what has been seen: the table then says how many samples that were, and that it is not complete.

    \b
    edgewright calibrate model.onnx --calibration c.npz --method percentile --out table.json
    edgewright build model.onnx --calibration c.npz --calibration-table table.json
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work, output_folder(out.parent):
        samples = as_npz(calibration, Path(work))
        specs = [parse_input(text) for text in inputs]
        model = open_source(source, specs, Path(work, "source.onnx"), open_arrays(samples))
        if is_quantized(load_ir(model.path)):
            raise UsageError(f"'{source}' is quantized already; give the float model it was made from.")
        data = dataset.read(samples, model.inputs, called=str(calibration))
        recipe = Recipe("int8", method, QuantizationScheme())
        try:
            made = calibrate(prepare(model), recipe, data, model.inputs, table_cache.open_cache())
        except CalibrationInterrupted as interrupt:
            table.write(interrupt.table, out)
            seen = f"{interrupt.table.samples:,} of {data.n:,} samples"
            click.echo(f"Interrupted after {seen}; '{out}' holds their ranges.", err=True)
            ctx.exit(_INTERRUPTED)
        table.write(made, out)
    click.echo(f"Table: {out}")
