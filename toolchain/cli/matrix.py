"""The command `edgewright matrix`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolchain.cli._option_types import FileOrName, NamesOption
from toolchain.cli._options import check_exists, text_or_json_option
from toolchain.cli._sample_options import check_evaluation, evaluation_of, evaluation_options

if TYPE_CHECKING:
    from toolchain.devices.accuracy_matrix import MatrixRow


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@evaluation_options
@click.option(
    "--profile",
    "profiles",
    cls=NamesOption,
    type=FileOrName(),
    multiple=True,
    metavar="NAME|FILE.toml",
    help="A processor to compute as; all CPU profiles, if not given. Repeatable, or a list with commas.",
)
@text_or_json_option
def command(
    bundle: Path, evaluation: Path | None, metrics: tuple[str, ...], profiles: tuple[str, ...], form: str
) -> None:
    """Show a bundle's accuracy by processor, so that a file that loses points elsewhere is seen before it ships.

    Each processor is computed by the best way that edgewright targets lists: this machine's kernels, emulated ones, or
    exact arithmetic, beside which the error of all outputs is shown. Without --evaluation, the bundle's golden samples
    are run. Times are not shown, since emulated ones say nothing.

    \b
    edgewright matrix out/digits-rpi5.edge
    edgewright matrix out/digits-rpi5.edge --evaluation e.npz --metric top1 --profile rpi5,x86-64-v3-avx2
    """
    check_exists(bundle)
    check_evaluation(evaluation, metrics)
    from hwbench.machine import device_profiles
    from hwbench.machine.identity import this_machine
    from hwbench.progress import bar
    from runtimes.codec import encode
    from runtimes.errors import UsageError
    from toolchain.devices.accuracy_matrix import cpu_profiles, matrix

    wanted = [device_profiles.load(name) for name in profiles] or cpu_profiles()
    for profile in wanted:
        if profile.gpu is not None:
            raise UsageError(f"{profile.name} has a GPU, and the table is of processors; leave it out.")
    samples = evaluation_of(evaluation, metrics)
    with bar(f"Computing {bundle.name}", len(wanted) + 1) as tick:
        rows = matrix(bundle, wanted, this_machine(), tick, samples)
    if form == "json":
        click.echo(json.dumps([encode(row) for row in rows], indent=2))
    else:
        _show(rows)


def _show(rows: list[MatrixRow]) -> None:
    from hwbench.terminal_table import printed

    metrics = tuple(rows[0].scores)  # the first row is computed exactly, on this machine
    lines = [
        (
            row.profile,
            row.way,
            *(f"{row.scores[name]:.4f}" if name in row.scores else "" for name in metrics),
            str(row.samples or ""),
            "" if row.error is None else f"{row.error:.1e}",
            row.note,
        )
        for row in rows
    ]
    click.echo(printed(("profile", "computed", *metrics, "samples", "error", "by"), lines))
