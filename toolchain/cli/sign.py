"""edgewright sign."""

from __future__ import annotations

from pathlib import Path

import click

from runtimes import plugins
from runtimes.bundles.bundle import Bundle


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE.pem",
    required=True,
    help="The Ed25519 private key, without a passphrase. It is read, and kept nowhere.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE.edge", help="Where to write; in place, if not given."
)
def command(bundle: Path, key: Path, out: Path | None) -> None:
    """Sign a bundle with an Ed25519 key, in place of any signature it had.

    \b
    openssl genpkey -algorithm ed25519 -out key.pem
    openssl pkey -in key.pem -pubout -out public.pem
    edgewright sign out/digits-x86-64-v4-vnni.edge --key key.pem
    """
    with plugins.optional_import("Signing"):
        from runtimes.bundles import signing
    private_key = signing.read_private_key(key)
    with Bundle(bundle) as opened:
        signing.sign(opened, private_key, out or bundle)
    click.echo(f"Signed: {out or bundle}")
