"""Options that several commands share.

Every `--help` waits for the imports of this module and of the command's own. So both import heavy packages (NumPy,
SciPy, ONNX, torch) within the functions that need them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runtimes import plugins
from runtimes.errors import UsageError
from toolchain.candidates.defaults import DEFAULT_CORRECTIONS, corrections
from toolchain.cli._option_types import FileOrName, NamesOption, Time
from toolchain.recipes.recipe import BEST, OFFERED

if TYPE_CHECKING:
    from hwbench.budgets.budget import Budget
    from runtimes.sampling.closed_loop import SamplingPlan

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells count."""

FORMATS = (
    "text", "json", "markdown", "csv", "junit", "github", "html", "gitlab", "openmetrics", "bencher", "github-benchmark"
)  # fmt: skip
SCENARIOS = ("single_stream", "multi_stream", "server", "offline")
"""Values of `hwbench.measurements.latency.Scenario`, repeated here because that import takes most of a second."""


def check_exists(path: Path) -> None:
    """Refuse a missing file before anything heavy is imported.

    Args:
        path: a file, or FILE.py:FUNCTION.

    Raises:
        UsageError: there is no such file.
    """
    where = str(path).rpartition(":")[0]
    file = Path(where) if where.endswith(".py") else path
    if not file.exists():
        raise UsageError(f"There is no file '{file}'.")


def existing(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Check an option's file; a click callback."""
    if path is not None:
        check_exists(path)
    return path


def out_folder_option(default: str) -> Callable[[F], F]:
    """Add --out, the folder for a build's results."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        default=Path(default),
        show_default=True,
        metavar="DIR",
        help="The folder for the results.",
    )


def format_option(function: F) -> F:
    """Add --format."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="The format of the results.",
    )(function)


def verbose_option(function: F) -> F:
    """Add --verbose."""
    return click.option(
        "--verbose",
        is_flag=True,
        help="Print every candidate with its reason in --format text; other formats always do.",
    )(function)


def text_or_json_option(function: F) -> F:
    """Add --format to a command that prints only text or JSON."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(("text", "json")),
        default="text",
        show_default=True,
        help="The format of the output.",
    )(function)


def budget_option(function: F) -> F:
    """Add --budget, repeatable."""
    return click.option(
        "--budget",
        "budgets",
        multiple=True,
        metavar="LIMIT",
        callback=_budgets,
        help="A limit, as in p90<=20ms, accuracy_drop<=0.01, accuracy_drop[mae]<=1%, size<=5MB. Repeatable.",
    )(function)


def _budgets(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[Budget, ...]:
    from hwbench.budgets.budget import parse_all

    return parse_all(texts)


def confidence_option(default: float) -> Callable[[F], F]:
    """Add --confidence."""
    return click.option(
        "--confidence",
        type=click.FloatRange(0.5, 1, max_open=True),
        default=default,
        show_default=True,
        metavar="P",
        help="How probable it has to be that a budget on accuracy holds, or is broken, for a verdict; by a one-sided "
        "test.",
    )


def method_option(default: str) -> Callable[[F], F]:
    """Add --method, which chooses the ranges of int8.

    Args:
        default: a method; or `BEST`, which then may be asked for.
    """
    tried = f"; {BEST} tries {' and '.join(OFFERED)}" if default == BEST else ""
    known = ", ".join(plugins.names("toolchain.calibration.methods"))
    return click.option(
        "--method",
        default=default,
        show_default=True,
        help=f"The method that chooses int8's ranges: {known}{tried}.",
    )


def profile_option(function: F) -> F:
    """Add --profile, for one device."""
    return click.option(
        "--profile",
        type=FileOrName(),
        metavar="NAME|FILE.toml",
        help="The device; this machine, if not given.",
    )(function)


def correction_option(function: F) -> F:
    """Add --correction, repeatable."""
    return click.option(
        "--correction",
        "corrections",
        cls=NamesOption,
        multiple=True,
        metavar="NAME",
        callback=_corrections,
        help=f"A correction that recovers int8's accuracy: {', '.join(plugins.names('toolchain.corrections'))}; or "
        f"none. Repeatable, or a list with commas; in order.  [default: {', '.join(DEFAULT_CORRECTIONS)}]",
    )(function)


def _corrections(_: click.Context, __: click.Parameter, wanted: tuple[str, ...]) -> tuple[str, ...]:
    return corrections(wanted)


def duration_option(default: str) -> Callable[[F], F]:
    """Add --duration, which is converted to seconds.

    Args:
        default: the time that a process measures without it, in words.
    """
    return click.option(
        "--duration",
        type=Time(0.05),
        metavar="TIME",
        help=f"The shortest time that each process measures, as in 2s or 1m.  [default: {default}]",
    )


def shape_option(function: F) -> F:
    """Add --shape, repeatable."""
    return click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="INPUT=SIZES",
        callback=_shapes,
        help="The shape to time an input at, as in tokens=1x64, or the size of a dimension, as in L=64; samples are "
        "cut or repeated to it. Repeatable.  [default: the samples' own]",
    )(function)


def _shapes(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    from hwbench.data.input_shapes import parse_shape

    return tuple(parse_shape(text) for text in texts)


def scenario_options(function: F) -> F:
    """Add --scenario, --bound and --batch."""
    function = click.option(
        "--batch",
        type=click.IntRange(min=1),
        metavar="N",
        help="Samples of a query of multi_stream, or of an inference of offline.  [default: 8]",
    )(function)
    function = click.option("--bound", metavar="LIMIT", help="The limit of the latency for server, as in p99<=20ms.")(
        function
    )
    return click.option(
        "--scenario",
        type=click.Choice(SCENARIOS),
        default="single_stream",
        show_default=True,
        help="The pattern of queries, as MLPerf Inference defines it; all but single_stream need the extra loadgen.",
    )(function)


def sampling_plan(duration: float | None) -> SamplingPlan:
    """Make the sampling plan of --duration; the default one, without it."""
    from runtimes.sampling.closed_loop import UNLIMITED_RUNS, SamplingPlan

    if duration is None:
        return SamplingPlan()
    limit_s = max(SamplingPlan.time_limit_s, 2 * duration)
    return SamplingPlan(max_runs=UNLIMITED_RUNS, duration_s=duration, time_limit_s=limit_s)
