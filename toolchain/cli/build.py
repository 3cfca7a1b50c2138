"""edgewright build."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from hwbench.budgets.budget import parse_all
from hwbench.budgets.verdicts import EXIT_CODES
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates import candidate
from toolchain.candidates.build_cache import default_folder
from toolchain.cli._config_file import BuildConfig, merge, read
from toolchain.cli._options import (
    budget_option,
    calibration_option,
    correction_option,
    duration_option,
    evaluation_options,
    format_option,
    input_option,
    sampling_plan,
    show,
    verbose_option,
)
from toolchain.cli._plans import show_plans
from toolchain.engines.shape_ranges import parse_ranges
from toolchain.output_folder import output_folder
from toolchain.pipeline.build import build
from toolchain.pipeline.request import BuildRequest
from toolchain.quantizers import precisions as known_precisions
from toolchain.sources.input_specs import parse_input
from toolchain.sources.open_source import default_name

_INTERRUPTED = 130  # as a shell calls it; what was found by then is packed


@click.command()
@click.argument("source")
@input_option
@calibration_option("for int8 to observe ranges on")
@click.option(
    "--calibration-table",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="Ranges for static int8 from edgewright calibrate, perhaps edited, in place of the samples'.",
)
@evaluation_options
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME|FILE.toml",
    help="A device to build for; the machine we are on, if not given. Repeatable.",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    metavar="NAME",
    help="A precision to try; all, if not given. Repeatable.",
)
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="NAME",
    help="A runtime to try; all that the profile lists, if not given. Repeatable.",
)
@correction_option
@budget_option
@click.option(
    "--threads", type=click.IntRange(min=1), help="The most threads per inference, in place of the profile's."
)
@duration_option(SamplingPlan())
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="When to end the search; the best so far is packed, and exporting and packing come on top. Ctrl-C does the "
    "same, once something was measured.",
)
@click.option(
    "--exhaustive", is_flag=True, help="Measure every precision on every runtime well, and try nothing beyond them."
)
@click.option("--fresh", is_flag=True, help="Measure anew what an earlier build measured on this machine.")
@click.option("--name", help="The model's name, which the bundles are named after.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the results go.  [default: out]")
@click.option("--plan", is_flag=True, help="Print how TensorRT engines would be built, and stop. Needs no TensorRT.")
@click.option(
    "--range",
    "ranges",
    multiple=True,
    metavar="DIM=MIN:OPT:MAX",
    help="Sizes that a dynamic dimension takes in an engine. Repeatable; again for the next optimization profile.",
)
@format_option
@verbose_option
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    inputs: tuple[str, ...],
    calibration: Path | None,
    calibration_table: Path | None,
    evaluation: Path | None,
    metric: str | None,
    profiles: tuple[str, ...],
    precisions: tuple[str, ...],
    runtimes: tuple[str, ...],
    corrections: tuple[str, ...],
    budgets: tuple[str, ...],
    threads: int | None,
    duration: float | None,
    time_limit: float | None,
    exhaustive: bool,
    fresh: bool,
    name: str | None,
    out: Path | None,
    plan: bool,
    ranges: tuple[str, ...],
    form: str,
    verbose: bool,
) -> None:
    """Take a trained model to a measured, packed, gated bundle per device.

    SOURCE is model.onnx, model.pt2, model.pt (TorchScript), MODULE:FACTORY, FILE.py:FACTORY, or an
    edgewright.toml that holds these options under their long names.

    \b
    edgewright build efficientnet.py:load --input 'image=float32[N,3,224,224]' \\
        --calibration c.npz --evaluation e.npz --metric top1 \\
        --profile x86-64-v4-vnni --budget 'p90<=20ms' --budget 'accuracy_drop<=0.01' --out out
    """
    given = BuildConfig(
        source=None if source.endswith(".toml") else source,
        input=inputs,
        calibration=calibration,
        calibration_table=calibration_table,
        evaluation=evaluation,
        metric=metric,
        profile=profiles,
        precision=precisions,
        runtime=runtimes,
        correction=corrections,
        budget=budgets,
        threads=threads,
        duration=duration,
        time_limit=time_limit,
        name=name,
        out=out,
        range=ranges,
    )
    config = merge(read(Path(source)), given) if source.endswith(".toml") else given
    request = dataclasses.replace(_request(config), cache=default_folder(), fresh=fresh, exhaustive=exhaustive)
    if plan:
        ctx.exit(show_plans(request, form))
    with output_folder(request.out):
        results = build(request)
    show(results, form, verbose=verbose)
    if form == "text":
        for bundle in (field.bundle for field in results.profiles if field.bundle):
            click.echo(f"Bundle: {bundle}")
        click.echo(f"Report: {request.out / 'report.html'}")
    interrupted = any(field.search and "Ctrl-C" in (field.search.stopped or "") for field in results.profiles)
    ctx.exit(_INTERRUPTED if interrupted else EXIT_CODES[results.outcome])


def _request(config: BuildConfig) -> BuildRequest:
    if config.source is None:
        raise UsageError('The edgewright.toml names no source; add: source = "model.onnx"')
    for precision in config.precision:
        if precision not in known_precisions():
            raise UsageError(f"Unknown precision '{precision}'; choose from {', '.join(known_precisions())}.")
    budgets = parse_all(config.budget)
    for budget in budgets:
        if budget.relative:
            raise UsageError(
                f"Budget '{budget.text}' compares with a baseline, which edgewright gate does; leave it out."
            )
    name = config.name or default_name(config.source)
    if Path(name).name != name or name.startswith(".") or not name.isprintable():
        raise UsageError(f"The name {name!r} cannot name a file; give a word, as in --name digits.")
    profiles = [device_profiles.load(profile) for profile in config.profile] or [device_profiles.detect(this_machine())]
    return BuildRequest(
        source=config.source,
        name=name,
        out=config.out or Path("out"),
        profiles=tuple(profiles),
        inputs=tuple(parse_input(text) for text in config.input),
        calibration=config.calibration,
        calibration_table=config.calibration_table,
        evaluation=config.evaluation,
        metric=config.metric,
        precisions=config.precision,
        runtimes=config.runtime,
        corrections=candidate.corrections(config.correction),
        budgets=budgets,
        threads=config.threads,
        plan=sampling_plan(config.duration),
        time_limit_s=config.time_limit,
        ranges=parse_ranges(config.range),
    )
