"""The command `edgewright sign`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtimes import plugins
from runtimes.errors import UsageError
from toolchain.cli._input_files import check_keeps_inputs
from toolchain.cli._options import check_exists

if TYPE_CHECKING:
    from runtimes.bundles.release import Release

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE.pem",
    required=True,
    help="The private key, without a passphrase: Ed25519, or for --detached an elliptic curve's. It is stored nowhere.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.edge",
    help="The signed bundle; BUNDLE itself, if not given.",
)
@click.option(
    "--version",
    type=click.IntRange(1, 2**63 - 1),
    metavar="N",
    help="A number that grows from bundle to bundle, so that a device can refuse an older one.",
)
@click.option(
    "--not-after",
    metavar="DATE",
    help="The last day (UTC) on which the bundle is opened, as in 2027-01-31, or a time as in 2027-01-31T12:00:00Z.",
)
@click.option(
    "--detached",
    type=click.Path(path_type=Path),
    metavar="FILE.sig",
    help="Leave the bundle as it is, and write a signature of OpenSSF's model-signing format to this file.",
)
@click.pass_context
def command(
    ctx: click.Context,
    bundle: Path,
    key: Path,
    out: Path | None,
    version: int | None,
    not_after: str | None,
    detached: Path | None,
) -> None:
    """Sign a bundle with an Ed25519 key, in place of any signature it had.

    A version or a last day that the bundle has already stays, unless another one is given.

    \b
    openssl genpkey -algorithm ed25519 -out key.pem
    openssl pkey -in key.pem -pubout -out public.pem
    edgewright sign out/digits-x86-64-v4-vnni.edge --key key.pem --version 7
    """
    check_exists(bundle)
    check_exists(key)
    if detached is not None:
        if any(option is not None for option in (out, version, not_after)):
            raise UsageError("--detached leaves the bundle as it is; leave out --out, --version and --not-after.")
        check_keeps_inputs(ctx, [detached], "detached")
        _sign_detached(bundle, key, detached)
        return
    check_keeps_inputs(ctx, [out or bundle], "out", replaceable=("bundle", "detached"))
    from runtimes.bundles.bundle import Bundle

    with plugins.optional_import("Signing"):
        from runtimes.bundles import signing
    private_key = signing.read_private_key(key)
    with Bundle(bundle) as opened:
        release = _release(opened.manifest.release, version, not_after)
        signing.sign(opened, private_key, out or bundle, release)
    click.echo(f"Signed: {out or bundle}")


def _sign_detached(bundle: Path, key: Path, out: Path) -> None:
    from runtimes.bundles.bundle import Bundle

    with plugins.optional_import("Signing in OpenSSF's format"):
        from toolchain.packaging.openssf_signature import sign_detached
    with Bundle(bundle) as opened:
        sign_detached(opened, key, out)
    click.echo(f"Signature: {out}")


def _release(before: Release | None, version: int | None, not_after: str | None) -> Release | None:
    """Make the release of the options, and of what the bundle declares already."""
    from runtimes.bundles.release import Release, utc

    release = before or Release()
    if version is not None:
        release = dataclasses.replace(release, version=version)
    if not_after is not None:
        last = f"{not_after}T23:59:59Z" if _DATE.fullmatch(not_after) else not_after
        now = utc()
        try:
            release = dataclasses.replace(release, not_after=last, signed_at=now)
        except ValueError:
            raise UsageError(
                f"--not-after '{not_after}' is no date to come; write it as in 2027-01-31, or 2027-01-31T12:00:00Z. "
                f"It is {now}."
            ) from None
    return release if release != Release() else None
