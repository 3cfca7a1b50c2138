"""edgewright verify."""

from __future__ import annotations

from pathlib import Path

import click

from runtimes.bundle import Bundle
from runtimes.golden import replay


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--any-machine", is_flag=True, help="Run it though its profile is another machine's.")
@click.pass_context
def command(ctx: click.Context, bundle: Path, any_machine: bool) -> None:
    """Check a bundle's digests and replay its golden samples.

    Exit codes: 0 it is what was packed and computes what it did, 1 it computes something else, 2 an error.

    \b
    edgewright verify out/digits-x86-64-v4-vnni.edge
    """
    with Bundle(bundle) as opened:
        results = replay(opened, any_machine=any_machine)
        manifest = opened.manifest
    artifact = manifest.artifact
    click.echo(f"{manifest.model} for {manifest.profile.name}: {artifact.precision} on {artifact.runtime}")
    click.echo(f"{len(manifest.members)} members, every digest right")
    for result in results:
        word = "ok" if result.passed else "MISMATCH"
        click.echo(f"{word}: {result.output} differs by {result.error:.2e} (tolerance {result.tolerance:.0e})")
    ctx.exit(0 if all(result.passed for result in results) else 1)
