"""The command `edgewright calibrate`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtimes.errors import UsageError
from toolchain.candidates.defaults import DEFAULT_CALIBRATION
from toolchain.cli._input_files import check_keeps_inputs
from toolchain.cli._options import INTERRUPTED, method_option
from toolchain.cli._sample_options import calibration_option, samples_option
from toolchain.cli._source_options import input_option, output_option, state_option, trust_option
from toolchain.sources.open_source import check_source

if TYPE_CHECKING:
    from runtimes.tensors import TensorSpec


@click.command()
@click.argument("source")
@input_option
@trust_option
@output_option
@state_option
@calibration_option("that ranges are observed on", required=True)
@method_option(DEFAULT_CALIBRATION)
@samples_option(
    "--evaluation",
    "Samples such as the device will see, labelled or not; a warning names the tensors whose values differ from "
    "those in the calibration samples.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("table.json"),
    show_default=True,
    metavar="FILE.json",
    help="The file for the table.",
)
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    inputs: tuple[TensorSpec, ...],
    trusted: bool,
    outputs: tuple[str, ...],
    states: dict[str, str],
    calibration: Path,
    method: str,
    evaluation: Path | None,
    out: Path,
) -> None:
    """Write the ranges of the tensors that int8 quantizes to a file, to read, to edit and to build with.

    Ctrl-C keeps the ranges that were observed so far: the table then says of how many samples they are, and that it
    is not complete.

    \b
    edgewright calibrate model.onnx --calibration c.npz --method percentile --out table.json
    edgewright calibrate model.onnx --calibration c.npz --evaluation e.npz
    edgewright build model.onnx --calibration c.npz --calibration-table table.json
    """
    check_source(source)
    if evaluation is not None and states:
        raise UsageError(
            "--evaluation compares samples, not the steps of sequences; leave it out for a model with states."
        )
    check_keeps_inputs(ctx, [out], "out")
    from hwbench.data import dataset
    from hwbench.wording import count
    from runtimes.profile import QuantizationScheme
    from toolchain.calibration import table, table_cache
    from toolchain.calibration.calibrate import CalibrationInterrupted
    from toolchain.calibration.sample_drift import drift_warning, sample_drift
    from toolchain.calibration.sample_factory import as_npz
    from toolchain.models.prepare import prepare
    from toolchain.output_folder import output_file
    from toolchain.recipes.find_ranges import calibrate
    from toolchain.recipes.recipe import Recipe
    from toolchain.sources.open_with_samples import open_float_with_samples

    with tempfile.TemporaryDirectory(prefix="edgewright-") as work, output_file(out):
        model, samples = open_float_with_samples(
            source, inputs, calibration, Path(work), outputs, states, trusted=trusted
        )
        file = as_npz(evaluation, Path(work, "evaluation.npz")) if evaluation else None
        other = dataset.read(file, model.inputs, called=str(evaluation)) if file else None
        recipe, graph = Recipe("int8", method, QuantizationScheme()), prepare(model)
        try:
            made = calibrate(graph, recipe, samples, table_cache.open_cache())
        except CalibrationInterrupted as interrupt:
            table.write(interrupt.table, out)
            seen = f"{interrupt.table.samples:,} of {samples.n:,} samples"
            click.echo(f"Interrupted after {seen}; '{out}' holds their ranges.", err=True)
            ctx.exit(INTERRUPTED)
        table.write(made, out)
        if other is not None:
            drift = sample_drift(graph, list(made.ranges), samples, other)
            found = drift_warning(drift, [spec.name for spec in model.inputs])
            none = (
                f"The evaluation samples show no drift from the calibration samples in {count(len(drift), 'tensor')}."
            )
            click.echo("".join(found) or none, err=True)
    click.echo(f"Table: {out}")
