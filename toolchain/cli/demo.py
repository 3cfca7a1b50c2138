"""edgewright demo."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from hwbench.budgets.budget import parse_all
from hwbench.budgets.verdicts import EXIT_CODES
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.progress import bar
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.cli import _demo_model as demo_model
from toolchain.cli._options import format_option, show, verbose_option
from toolchain.output_folder import output_folder
from toolchain.pipeline.build import build
from toolchain.pipeline.request import BuildRequest
from toolchain.sources.input_specs import parse_input


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("out/demo"),
    show_default=True,
    metavar="DIR",
    help="Where the results go.",
)
@format_option
@verbose_option
@click.pass_context
def command(ctx: click.Context, out: Path, form: str, verbose: bool) -> None:
    """Run the whole pipeline on a real model, with nothing to prepare.

    Trains a small CNN on scikit-learn's handwritten digits, then exports, quantizes, measures and packs it for
    the machine we are on, judged on digits that it never saw.

    \b
    edgewright demo --out out/demo
    """
    with output_folder(out), tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        with bar("Training a small CNN on digits", demo_model.EPOCHS) as tick:
            files = demo_model.prepare(Path(work), tick)
        request = BuildRequest(
            source=str(files.program),
            inputs=(parse_input("image=float32[N,1,8,8]"),),
            name="digits",
            out=out,
            profiles=(device_profiles.detect(this_machine()),),
            calibration=files.calibration,
            evaluation=files.evaluation,
            metric="top1",
            budgets=parse_all(["p90<=20ms", "accuracy_drop<=0.01"]),
            plan=SamplingPlan(duration_s=0.3),
        )
        results = build(request)
    show(results, form, verbose=verbose)
    if form == "text":
        click.echo(f"Bundle: {results.profiles[0].bundle}")
        click.echo(f"Report: {out / 'report.html'}")
    ctx.exit(EXIT_CODES[results.outcome])
