"""edgewright verify."""

from __future__ import annotations

from pathlib import Path

import click

from runtimes.verification.self_test import render, self_test


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    metavar="FILE.pem",
    help="Refuse a bundle that the owner of this key did not sign.",
)
@click.option("--any-machine", is_flag=True, help="Run it though its profile is another machine's.")
@click.pass_context
def command(ctx: click.Context, bundle: Path, public_key: Path | None, any_machine: bool) -> None:
    """Check a bundle's digests and signature, and replay its golden samples.

    Exit codes: 0 it is what was packed and computes what it did, 1 it computes something else, 2 an error.

    \b
    edgewright verify out/digits-x86-64-v4-vnni.edge
    """
    test = self_test(bundle, public_key=public_key, any_machine=any_machine)
    click.echo(render(test))
    ctx.exit(0 if test.passed else 1)
