"""The command `edgewright verify`."""

from __future__ import annotations

from pathlib import Path

import click

from toolchain.cli._options import check_exists


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    metavar="FILE.pem",
    help="Refuse a bundle that the owner of this key did not sign.",
)
@click.option(
    "--at-least", type=click.IntRange(0), default=0, metavar="N", help="Refuse a bundle of a lower version, or of none."
)
@click.option("--any-machine", is_flag=True, help="Run the bundle although its profile is of another machine.")
@click.pass_context
def command(ctx: click.Context, bundle: Path, public_key: Path | None, at_least: int, any_machine: bool) -> None:
    """Check a bundle's digests and signature, and replay its golden samples.

    Exit codes: 0 the bundle is unchanged and its outputs agree, 1 its outputs differ, 2 an error.

    \b
    edgewright verify out/digits-x86-64-v4-vnni.edge
    """
    check_exists(bundle)
    from runtimes.verification.self_test import render, self_test

    test = self_test(bundle, public_key=public_key, any_machine=any_machine, at_least=at_least)
    click.echo(render(test))
    ctx.exit(0 if test.passed else 1)
