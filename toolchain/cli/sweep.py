"""The command `edgewright sweep`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hwbench.rack.scheduler_address import parse_scheduler
from runtimes.errors import UsageError
from toolchain.cli import build as build_command
from toolchain.cli._input_files import check_keeps_inputs
from toolchain.cli._option_types import FileOrName, NamesOption
from toolchain.cli._options import INTERRUPTED, out_folder_option
from toolchain.cli._show_results import LOG_WIDTH

if TYPE_CHECKING:
    from toolchain.pipeline.request import BuildRequest
    from toolchain.sweep.sweep_report import SweepReport

_FORMATS = ("text", "json", "markdown")
# Options of build that mean the same for every cell.
_OF_BUILD = (
    *("inputs", "trusted", "calibration", "evaluation", "metrics", "runtimes", "corrections", "budgets", "confidence"),
    *("threads", "duration", "time_limit_s", "exhaustive"),
)


def _prices(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    prices = {}
    for text in texts:
        name, _equals, price = text.rpartition("=")
        with contextlib.suppress(ValueError):
            if name and 0 <= float(price) < float("inf"):
                prices[name] = float(price)
                continue
        raise UsageError(f"'{text}' is no price per hour; write it like rpi5=0.02.")
    return prices


def _options_of_build(command: click.Command) -> click.Command:
    command.params += [param for param in build_command.command.params if param.name in _OF_BUILD]
    return command


@_options_of_build
@click.command()
@click.argument("sources", type=FileOrName(), nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--profile",
    "profiles",
    cls=NamesOption,
    type=FileOrName(),
    multiple=True,
    metavar="NAME|FILE.toml",
    help="A device; this machine, if not given. Repeatable, or a list with commas.",
)
@click.option(
    "--precision",
    "precisions",
    cls=NamesOption,
    multiple=True,
    metavar="NAME",
    help="A precision that each model is built in on each device; if not given, each build selects one. Repeatable, or "
    "a list, as in fp32,int8.",
)
@click.option(
    "--target",
    metavar="tls://HOST:PORT",
    help="The Dask scheduler of a rack, on whose boards the cells of the devices that their resources name are "
    "measured; dask://localhost:8786 without TLS.  [default: this machine alone]",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cells that are built at a time on this machine; one that is timed here is alone.  [default: a quarter of the "
    "processors]",
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="DEVICE=PRICE",
    callback=_prices,
    help="The price of a device per hour, as in rpi5=0.02, for the cost of a million inferences. Repeatable.",
)
@click.option("--fresh", is_flag=True, help="Build and measure again what an earlier sweep built in the folder.")
@out_folder_option("sweep")
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="The format of the results.",
)
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Build models for devices in precisions, and show who meets which budget, and at what cost.

    Each SOURCE is one of edgewright build's; an edgewright.toml gives a model samples and budgets of its own. The
    cells are built on this machine's cores, or on a rack's boards where --target has one of that device. A cell whose
    board is lost is built on another one, and a sweep that was interrupted goes on when it is run again.

    Exit codes: 0 each model meets its budgets on each device in some precision, 1 one does not, 2 an error, also of a
    cell, 3 inconclusive.

    \b
    edgewright sweep digits.toml words.toml --profile rpi5,x86-64-v4-vnni --precision fp32,int8
    edgewright sweep digits.toml --profile rpi5 --target tls://rack:8786 --price rpi5=0.02
    """
    given = {
        name: ctx.params[name] for name in _OF_BUILD if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    builds = tuple(
        _build(source, asked["profiles"], asked["precisions"], asked["fresh"], given) for source in asked["sources"]
    )
    from runtimes import cpu
    from toolchain.output_folder import output_folder

    _check_prices(asked["prices"], builds)
    if asked["target"] is not None:
        from runtimes.plugins import optional_import

        with optional_import("A rack"):
            from hwbench.rack import scheduler
        address = scheduler.secured(parse_scheduler(asked["target"]))
        if address.kind:
            raise UsageError(f"'{asked['target']}' names a kind of board, and a sweep takes all; leave it out.")
    from toolchain.sweep.sweep import REPORTS, SweepRequest, sweep

    out: Path = asked["out"]
    check_keeps_inputs(ctx, [out / name for name in REPORTS], "out")
    lanes = asked["jobs"] or max(1, cpu.count() // 4)
    request = SweepRequest(builds, out, lanes, asked["prices"], asked["fresh"], asked["target"])
    try:
        with output_folder(out):
            report = sweep(request)
    except KeyboardInterrupt:
        click.echo(f"Interrupted; '{out}' holds the cells that were built, and the same command goes on.", err=True)
        ctx.exit(INTERRUPTED)
    _show(report, asked["form"])
    if asked["form"] == "text":
        click.echo(f"Reports: {out / REPORTS[0]}, {REPORTS[1]}, {REPORTS[2]}")
    from hwbench.budgets.outcome import EXIT_CODES

    ctx.exit(EXIT_CODES[report.outcome] if report.is_complete else 2)


def _build(
    source: str, profiles: Sequence[str], precisions: Sequence[str], fresh: bool, given: dict[str, Any]
) -> BuildRequest:
    """Read a source as `edgewright build` does, under what the command line gives for all."""
    words = [source, *(word for name in profiles for word in ("--profile", name))]
    words += [word for name in precisions for word in ("--precision", name)]
    with build_command.command.make_context("build", words) as inner:
        asked = {**inner.params, **given, "fresh": fresh}
    for name in ("plan", "form", "verbose", "target"):
        asked.pop(name)
    if not asked["profiles"]:
        from hwbench.machine import device_profiles
        from hwbench.machine.identity import this_machine

        asked["profiles"] = (device_profiles.detect(this_machine()),)
    return build_command.request_of(**asked)


def _check_prices(prices: dict[str, float], builds: Sequence[BuildRequest]) -> None:
    devices = sorted({profile.name for build in builds for profile in build.profiles})
    for name in prices:
        if name not in devices:
            raise UsageError(f"--price {name}=...: the sweep has no device '{name}'; it has {', '.join(devices)}.")


def _show(report: SweepReport, form: str) -> None:
    from runtimes.codec import encode
    from toolchain.sweep import sweep_tables

    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS") or LOG_WIDTH)
    if form == "json":
        click.echo(json.dumps(encode(report), indent=1))
    else:
        click.echo(sweep_tables.text(report, width) if form == "text" else sweep_tables.as_markdown(report), nl=False)
