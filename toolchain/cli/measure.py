"""edgewright measure."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import click

from hwbench import devices, field, soak
from hwbench.bundles import measure_bundles
from hwbench.field import Entry, Field
from hwbench.machine import this_machine
from hwbench.measure import BLOCKS
from hwbench.progress import bar
from hwbench.targets.local import LocalTarget
from runtimes.errors import UsageError
from runtimes.files import replacing
from runtimes.sampling import Block
from toolchain.cli._options import (
    duration_option,
    evaluation_of,
    evaluation_options,
    format_option,
    profile_option,
    sampling_plan,
    show,
)
from toolchain.files import output_folder
from toolchain.single import pack_as_is
from toolchain.sources import is_onnx


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="BUNDLE|MODEL")
@evaluation_options
@profile_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads per inference, for a bare MODEL.")
@duration_option
@click.option(
    "--soak",
    "minutes",
    type=click.FloatRange(min=0.01),
    metavar="MINUTES",
    help="Run one process for so long and look for drift, throttling and leaks; exit code 1 where there are any.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.json", help="Write the report there as well.")
@format_option
@click.pass_context
def command(
    ctx: click.Context,
    path: Path,
    evaluation: Path | None,
    metric: str | None,
    profile: str | None,
    threads: int | None,
    duration: float | None,
    minutes: float | None,
    out: Path | None,
    form: str,
) -> None:
    """Measure latency, throughput, memory and accuracy on this machine.

    Takes a bundle, or a bare ONNX model, which is measured as it is on ONNX Runtime.

    \b
    edgewright measure out/digits-x86-64-v4-vnni.edge
    edgewright measure model.onnx --evaluation e.npz --metric top1 --format json
    """
    is_bare = is_onnx(path)
    if not is_bare and (threads is not None or profile is not None):
        raise UsageError(f"'{path}' holds its own profile and threads; leave out --profile and --threads.")
    scored = evaluation_of(evaluation, metric)
    with contextlib.ExitStack() as stack:
        if out is not None:
            stack.enter_context(output_folder(out.parent))
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="edgewright-"))
        bundle = path
        caveats: tuple[str, ...] = ()
        if is_bare:
            device = devices.load(profile) if profile else devices.detect(this_machine())
            bundle, caveat = pack_as_is(path, device, threads, Path(work))
            caveats = (caveat,)
        plan, blocks = (sampling_plan(duration), BLOCKS) if minutes is None else (soak.plan(minutes), 1)
        with bar(f"Measuring {path.name}", blocks) as tick:
            report = measure_bundles([bundle], LocalTarget(), plan, tick, scored, blocks)[0]
    artifact = report.artifact
    entry = Entry(
        f"{artifact.precision} on {artifact.runtime}", artifact.precision, artifact.runtime, "measured", "", report
    )
    results = field.of([Field(report.model, report.profile, (), (entry,), caveats)])
    if out is not None:
        with replacing(out) as beside:
            beside.write_text(field.to_json(results), encoding="utf-8")
    show(results, form)
    if minutes is not None and report.latency is not None:
        ctx.exit(_show_soak(report.latency.blocks[0]))


def _show_soak(block: Block) -> int:
    """Say on stderr what a soak found, so that stdout holds one format; returns the exit code."""
    try:
        found = soak.soak(block)
    except ValueError as problem:
        raise UsageError(f"Nothing can be told: {problem}.") from None
    click.echo(f"Soak: {found.runs:,} inferences in {found.seconds:,.0f} s", err=True)
    for finding in found.findings or ("no drift, no throttling that shows, no growing memory",):
        click.echo(f"  {finding}", err=True)
    return 1 if found.findings else 0
