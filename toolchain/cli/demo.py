"""The command `edgewright demo`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from toolchain.cli._options import format_option, out_folder_option, verbose_option
from toolchain.cli._show_results import show_build


@click.command()
@out_folder_option("out/demo")
@format_option
@verbose_option
@click.pass_context
def command(ctx: click.Context, out: Path, form: str, verbose: bool) -> None:
    """Run the whole pipeline on a real model, with nothing to prepare.

    Trains a small CNN on scikit-learn's handwritten digits, then exports, quantizes, measures and packs it for
    this machine. Accuracy is computed on digits that it never saw.

    \b
    edgewright demo --out out/demo
    """
    from toolchain.output_folder import output_folder

    with output_folder(out), tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        from hwbench.budgets.budget import parse_all
        from hwbench.budgets.outcome import EXIT_CODES
        from hwbench.machine import device_profiles
        from hwbench.machine.identity import this_machine
        from hwbench.progress import bar
        from runtimes.sampling.closed_loop import SamplingPlan
        from toolchain.cli import _demo_model as demo_model
        from toolchain.pipeline.build import build
        from toolchain.pipeline.request import BuildRequest
        from toolchain.sources.input_specs import parse_input

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
            metrics=("top1",),
            budgets=parse_all(["p90<=20ms", "accuracy_drop<=0.01"]),
            sampling=SamplingPlan(duration_s=0.3),
        )
        results = build(request)
    show_build(results, out, form, verbose=verbose)
    ctx.exit(EXIT_CODES[results.outcome])
