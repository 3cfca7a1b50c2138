"""edgewright measure."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import click

from hwbench import devices, field
from hwbench.bundles import measure_bundles
from hwbench.field import Entry, Field
from hwbench.machine import this_machine
from hwbench.measure import BLOCKS
from hwbench.progress import bar
from hwbench.targets.local import LocalTarget
from runtimes.errors import UsageError
from runtimes.files import replacing
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
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.json", help="Write the report there as well.")
@format_option
def command(
    path: Path,
    evaluation: Path | None,
    metric: str | None,
    profile: str | None,
    threads: int | None,
    duration: float | None,
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
        if is_bare:
            device = devices.load(profile) if profile else devices.detect(this_machine())
            bundle = pack_as_is(path, device, threads, Path(work))
        with bar(f"Measuring {path.name}", BLOCKS) as tick:
            report = measure_bundles([bundle], LocalTarget(), sampling_plan(duration), tick, scored)[0]
    artifact = report.artifact
    entry = Entry(
        f"{artifact.precision} on {artifact.runtime}", artifact.precision, artifact.runtime, "measured", "", report
    )
    results = field.of([Field(report.model, report.profile, (), (entry,))])
    if out is not None:
        with replacing(out) as beside:
            beside.write_text(field.to_json(results), encoding="utf-8")
    show(results, form)
