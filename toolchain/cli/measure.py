"""The command `edgewright measure`."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from runtimes import plugins
from runtimes.errors import EdgewrightError, UsageError
from toolchain.cli._input_files import check_keeps_inputs
from toolchain.cli._option_types import Time
from toolchain.cli._options import (
    check_exists,
    duration_option,
    format_option,
    profile_option,
    sampling_plan,
    scenario_options,
    shape_option,
    verbose_option,
)
from toolchain.cli._sample_options import check_evaluation, evaluation_of, evaluation_options
from toolchain.cli._show_results import show
from toolchain.cli._source_options import input_option, trust_option
from toolchain.cli._target_option import is_board, open_target, target_option
from toolchain.sources.open_source import check_source, is_source

if TYPE_CHECKING:
    from hwbench.load.loadgen.load_plan import LoadedScenario
    from hwbench.load.scenarios import LoadRequest
    from hwbench.machine.gpu_timing import GpuTimes
    from hwbench.machine.identity import Machine
    from hwbench.measurements.report import Report
    from hwbench.results.measure_bundles import Evaluation
    from runtimes.sample_arrays import Rows
    from runtimes.sampling.closed_loop import Block
    from runtimes.tensors import TensorSpec


@click.command()
@click.argument("path", metavar="SOURCE|BUNDLE")
@input_option
@trust_option
@evaluation_options
@profile_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads per inference, for a SOURCE.")
@duration_option("1, or 2,500 inferences")
@shape_option
@scenario_options
@click.option(
    "--soak",
    "minutes",
    type=Time(0.01, "m"),
    metavar="TIME",
    help="Run one process for this long, in minutes or as in 90s or 2h, and look for drift, throttling and memory "
    "leaks; exit code 1 if there are any.",
)
@target_option("measures")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE.json", help="Write the report to this file as well."
)
@format_option
@verbose_option
@click.pass_context
def command(
    ctx: click.Context,
    path: str,
    inputs: tuple[TensorSpec, ...],
    trusted: bool,
    evaluation: Path | None,
    metrics: tuple[str, ...],
    profile: str | None,
    threads: int | None,
    duration: float | None,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    scenario: str,
    bound: str | None,
    batch: int | None,
    minutes: float | None,
    target: str,
    out: Path | None,
    form: str,
    verbose: bool,
) -> None:
    """Measure latency, throughput, memory and accuracy on this machine, or on a board.

    Takes a bundle, or any source of a build, which is measured as it is on ONNX Runtime. Scenarios are those of MLPerf
    Inference with shorter runs: multi_stream (queries of several samples), offline (all samples at once), and server
    (random arrivals). server finds the largest rate that holds a bound on the latency; its exit code is 1 if no rate
    holds the bound, 3 if a longer --duration is needed to tell.

    \b
    edgewright measure out/digits-x86-64-v4-vnni.edge
    edgewright measure model.onnx --evaluation e.npz --metric top1 --format json
    edgewright measure model.edge --scenario server --bound 'p99<=20ms'
    edgewright measure model.edge --target ssh://pi@raspberrypi.local
    """
    is_bare = is_source(path)
    if not is_bare and (threads is not None or profile is not None or inputs or trusted):
        raise UsageError(
            f"'{path}' is a bundle, which holds its profile, threads and inputs, and no code; leave out --profile, "
            "--threads, --input and --trust-source."
        )
    check_evaluation(evaluation, metrics)
    if is_bare:
        check_source(path)
    else:
        check_exists(Path(path))
    check_keeps_inputs(ctx, [out] if out is not None else [], "out")
    from hwbench.budgets.outcome import EXIT_CODES
    from hwbench.budgets.verdicts import overall
    from hwbench.load import scenarios
    from hwbench.machine import device_profiles
    from hwbench.measurements import soak
    from hwbench.measurements.interleaved import BLOCKS
    from hwbench.progress import bar
    from hwbench.results import profile_results
    from hwbench.results.measure_bundles import measure_bundles
    from hwbench.results.opened_bundle import open_bundle
    from hwbench.results.profile_results import CandidateResult, ProfileResult
    from runtimes.files import replacing
    from toolchain.output_folder import output_file

    if shapes and scenario != "single_stream":
        raise UsageError("--shape chooses what single_stream is timed at; leave out --scenario.")
    if is_board(target) and scenario != "single_stream":
        raise UsageError(f"LoadGen runs on this machine alone, and {target} is another; leave out --scenario.")
    scored = evaluation_of(evaluation, metrics)
    ask = _ask(scenario, bound, batch, duration, minutes)
    with contextlib.ExitStack() as stack:
        if out is not None:
            stack.enter_context(output_file(out))
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="edgewright-"))
        bundle, name = Path(path), Path(path).name
        caveats: tuple[str, ...] = ()
        wanted = (
            (device_profiles.load(profile) if profile else None) if is_bare else open_bundle(bundle).manifest.profile
        )
        there = stack.enter_context(open_target(target, wanted))
        machine = there.machine
        if is_bare:
            device = wanted or device_profiles.detect(machine)
            # A bundle is measured without the toolchain's packages.
            with plugins.optional_import("Measuring a source"):
                from toolchain.pipeline.pack_model import pack_as_is
            bundle, caveat = pack_as_is(path, inputs, device, threads, Path(work), _arrays(scored), trusted=trusted)
            caveats = (caveat,)
        if ask is not None:
            with bar(f"Measuring {name}", None if ask.bound else BLOCKS) as tick:
                report, verdicts = scenarios.measure(bundle, ask, tick, scored)
        else:
            plan, blocks = (sampling_plan(duration), BLOCKS) if minutes is None else (soak.plan(minutes), 1)
            bounded = _bounded(bundle, machine) if minutes is None and not is_board(target) else _as_it_is
            with bar(f"Measuring {name}", blocks) as tick:
                measured = measure_bundles([bundle], there, plan, tick, scored, blocks, shapes)[0]
            report, verdicts = bounded(measured), ()
    artifact = report.artifact
    entry = CandidateResult(report.candidate, artifact.precision, artifact.runtime, "measured", "", report, verdicts)
    budgets = tuple(verdict.budget for verdict in verdicts)
    caveats += (scenarios.CAVEAT,) if ask else ()
    caveats += (f"Measured on {target}.",) if is_board(target) else ()
    results = profile_results.of([ProfileResult(report.model, report.profile, budgets, (entry,), caveats)])
    if out is not None:
        with replacing(out) as beside:
            beside.write_text(profile_results.to_json(results), encoding="utf-8")
    show(results, form, verbose=verbose)
    if report.gpu_times is not None:
        _show_gpu_times(report.gpu_times)
    if minutes is not None:
        ctx.exit(_show_soak(report.latency.blocks[0]) if report.latency else EXIT_CODES["inconclusive"])
    ctx.exit(EXIT_CODES[overall(verdicts)])


def _arrays(evaluation: Evaluation | None) -> Mapping[str, Rows] | None:
    """Open the evaluation samples, with which a source is exported and checked."""
    from runtimes.npz import open_arrays

    return open_arrays(evaluation.file) if evaluation is not None else None


def _ask(
    scenario: str, bound: str | None, batch: int | None, duration: float | None, minutes: float | None
) -> LoadRequest | None:
    """Read the request for LoadGen from the options; None for the closed loop."""
    if scenario == "single_stream":
        if bound is not None or batch is not None:
            raise UsageError("--bound is for --scenario server, and --batch for multi_stream and offline.")
        return None
    if minutes is not None:
        raise UsageError("--soak measures single_stream alone; leave out --scenario.")
    from hwbench.budgets import budget
    from hwbench.load.loadgen.process import check_installed
    from hwbench.load.scenarios import LoadRequest

    limit = budget.parse(bound) if bound is not None else None
    if limit is not None and limit.at:
        raise UsageError(f"--bound '{bound}': a load has the samples' own sizes; leave out '@'.")
    ask = LoadRequest(cast("LoadedScenario", scenario), sampling_plan(duration), batch, limit)
    check_installed()
    return ask


def _bounded(bundle: Path, machine: Machine) -> Callable[[Report], Report]:
    """Return a function that adds the machine's peaks to the bundle's report, or the reason why there are none.

    The peaks are measured now, before the bundle, so that a failure or an interrupt loses nothing.
    """
    from hwbench.machine import device_profiles
    from hwbench.results.opened_bundle import open_bundle

    manifest = open_bundle(bundle).manifest
    if not device_profiles.fits(manifest.profile, machine):
        return _as_it_is
    try:
        with plugins.optional_import("Measuring peaks"):
            from toolchain.pipeline import machine_peaks
        found = machine_peaks.of_artifact(manifest.artifact, machine)
    except EdgewrightError as error:
        reason = str(error)
        return lambda report: dataclasses.replace(report, unmeasured={**report.unmeasured, "peaks": reason})
    return lambda report: dataclasses.replace(report, peaks=found)


def _as_it_is(report: Report) -> Report:
    return report


def _show_gpu_times(times: GpuTimes) -> None:
    """Print on stderr the parts of an inference's time on the GPU, so that stdout holds one format."""
    click.echo(f"On the GPU: {times.summary}", err=True)
    for warning in times.warnings:
        click.echo(f"  {warning}", err=True)


def _show_soak(block: Block) -> int:
    """Print a soak's findings on stderr, so that stdout holds one format, and return the exit code."""
    from hwbench.measurements import soak

    try:
        found = soak.soak(block)
    except ValueError as problem:
        raise UsageError(f"The soak gives no result: {problem}.") from None
    click.echo(f"Soak: {found.runs:,} inferences in {found.seconds:,.0f} s", err=True)
    for finding in found.findings or ("no drift, no throttling and no growing memory were found",):
        click.echo(f"  {finding}", err=True)
    return 1 if found.findings else 0
