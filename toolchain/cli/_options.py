"""Options that several commands share, and how results are shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from hwbench.load.scenarios import BATCH
from hwbench.measurements.latency import Scenario
from hwbench.results.measure_bundles import Evaluation
from hwbench.results.profile_results import Results
from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import MOST_RUNS, SamplingPlan

F = TypeVar("F", bound=Callable[..., Any])

LOG_WIDTH = 140
FORMATS = ("text", "json", "markdown", "csv", "junit", "github", "html")


def format_option(function: F) -> F:
    """--format: how results are printed."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="How results are printed.",
    )(function)


def verbose_option(function: F) -> F:
    """--verbose: every candidate in the text that is printed."""
    return click.option(
        "--verbose", is_flag=True, help="Print every candidate with its reason; only --format text leaves any out."
    )(function)


def budget_option(function: F) -> F:
    """--budget, repeatable."""
    return click.option(
        "--budget",
        "budgets",
        multiple=True,
        metavar="LIMIT",
        help="A limit, as in p90<=20ms, accuracy_drop<=0.01, size<=5MB, throughput>=100/s. Repeatable.",
    )(function)


def input_option(function: F) -> F:
    """--input, repeatable."""
    return click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME=DTYPE[SHAPE]",
        help="An input, as in image=float32[N,3,224,224]; letters are dynamic. Repeatable, in forward's order.",
    )(function)


def calibration_option(use: str, *, required: bool = False) -> Callable[[F], F]:
    """--calibration; `use` is what a command does with the samples."""
    return click.option(
        "--calibration",
        type=click.Path(path_type=Path),
        required=required,
        metavar="FILE.npz|FILE.py:FACTORY",
        help=f"Samples {use}: arrays named after the inputs, samples first; or a function that yields dicts of them, "
        "one sample each.",
    )


def profile_option(function: F) -> F:
    """--profile, one."""
    return click.option("--profile", metavar="NAME|FILE.toml", help="The device; the machine we are on, if not given.")(
        function
    )


def correction_option(function: F) -> F:
    """--correction, repeatable."""
    return click.option(
        "--correction",
        "corrections",
        multiple=True,
        metavar="NAME",
        help=f"What recovers int8's accuracy: {', '.join(plugins.names('toolchain.corrections'))}; all of them, "
        "if not given, and nothing for none. Repeatable, in order.",
    )(function)


def evaluation_options(function: F) -> F:
    """--evaluation and --metric."""
    function = click.option(
        "--metric",
        metavar="NAME|FILE.py:FUNCTION",
        help="What accuracy is: top1, top5, auc, parity, or your own function of (outputs, labels).",
    )(function)
    return click.option(
        "--evaluation",
        type=click.Path(path_type=Path),
        metavar="FILE.npz",
        help="Samples to judge by: arrays named after the inputs, samples first, and labels.",
    )(function)


def evaluation_of(file: Path | None, metric: str | None) -> Evaluation | None:
    """What --evaluation and --metric ask for.

    Raises:
        UsageError: a metric without samples to compute it on.
    """
    if file is None and metric is not None:
        raise UsageError(f"The metric {metric} needs labelled samples; give --evaluation FILE.npz.")
    return Evaluation(file, metric) if file is not None else None


def duration_option(default: SamplingPlan) -> Callable[[F], F]:
    """--duration: seconds of measuring; `default` is the plan of who does not give it."""
    return click.option(
        "--duration",
        type=click.FloatRange(min=0.05),
        metavar="SECONDS",
        help="How long each of the measuring processes goes on, at least.  "
        f"[default: {default.duration_s:g}, or {default.max_runs:,} inferences]",
    )


def scenario_options(function: F) -> F:
    """--scenario, --bound and --batch."""
    function = click.option(
        "--batch",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Samples of a query of multi_stream, or of an inference of offline.  [default: {BATCH}]",
    )(function)
    function = click.option("--bound", metavar="LIMIT", help="The latency that server is to hold, as in p99<=20ms.")(
        function
    )
    return click.option(
        "--scenario",
        type=click.Choice(get_args(Scenario)),
        default="single_stream",
        show_default=True,
        help="How queries come, as MLPerf Inference defines it; all but single_stream need the extra loadgen.",
    )(function)


def sampling_plan(duration: float | None) -> SamplingPlan:
    """The plan that --duration asks for; the usual one, without it."""
    if duration is None:
        return SamplingPlan()
    limit_s = max(SamplingPlan.time_limit_s, 2 * duration)
    return SamplingPlan(max_runs=MOST_RUNS, duration_s=duration, time_limit_s=limit_s)


def show(results: Results, form: str, *, verbose: bool = False) -> None:
    """Print results to stdout, in colour where it is a terminal; `verbose` shows every candidate in text."""
    module = plugins.load("hwbench.formats", form, "format")
    terminal = sys.stdout.isatty()
    # A log or a file has no width, and the intervals need some.
    width = None if terminal else LOG_WIDTH
    options = {"color": terminal, "width": width, "verbose": verbose} if form == "text" else {}
    click.echo(module.render(results, **options), nl=False)
