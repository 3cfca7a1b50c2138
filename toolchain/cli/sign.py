"""The command `edgewright sign`."""

from __future__ import annotations

from pathlib import Path

import click

from runtimes import plugins
from toolchain.cli._input_files import check_keeps_inputs
from toolchain.cli._options import check_exists


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE.pem",
    required=True,
    help="The Ed25519 private key, without a passphrase. It is stored nowhere.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.edge",
    help="The signed bundle; BUNDLE itself, if not given.",
)
@click.pass_context
def command(ctx: click.Context, bundle: Path, key: Path, out: Path | None) -> None:
    """Sign a bundle with an Ed25519 key, in place of any signature it had.

    \b
    openssl genpkey -algorithm ed25519 -out key.pem
    openssl pkey -in key.pem -pubout -out public.pem
    edgewright sign out/digits-x86-64-v4-vnni.edge --key key.pem
    """
    check_exists(bundle)
    check_exists(key)
    check_keeps_inputs(ctx, [out or bundle], "out", replaceable=("bundle",))
    from runtimes.bundles.bundle import Bundle

    with plugins.optional_import("Signing"):
        from runtimes.bundles import signing
    private_key = signing.read_private_key(key)
    with Bundle(bundle) as opened:
        signing.sign(opened, private_key, out or bundle)
    click.echo(f"Signed: {out or bundle}")
