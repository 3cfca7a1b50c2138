"""The command `edgewright verify`."""

from __future__ import annotations

from pathlib import Path

import click

from toolchain.cli._options import check_exists
from toolchain.cli._target_option import EMULATED, LOCAL, is_board, open_board, target_option


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
@target_option("runs the bundle", (LOCAL, EMULATED))
@click.pass_context
def command(
    ctx: click.Context, bundle: Path, public_key: Path | None, at_least: int, any_machine: bool, target: str
) -> None:
    """Check a bundle's digests and signature, and replay its golden samples.

    Exit codes: 0 the bundle is unchanged and its outputs agree, 1 its outputs differ, 2 an error.

    \b
    edgewright verify out/digits-x86-64-v4-vnni.edge
    edgewright verify out/digits-rpi5.edge --target emulated
    edgewright verify out/digits-rpi5.edge --target ssh://pi@raspberrypi.local
    """
    check_exists(bundle)
    from runtimes.verification.self_test import render, self_test

    if is_board(target):
        from hwbench.results.golden_replay import replay_on
        from runtimes.bundles.bundle import Bundle

        with Bundle(bundle) as opened, open_board(target, opened.manifest.profile) as board:
            if not any_machine:
                board.check_is(opened.manifest.profile)
            test = replay_on(bundle, board, public_key, at_least)
            click.echo(f"{render(test)}\nComputed by {board.name} ({board.machine.board or board.machine.cpu}).")
    elif target == EMULATED:
        from hwbench.results.golden_replay import replay_on
        from hwbench.targets.emulated import open_emulated
        from runtimes.bundles.bundle import Bundle

        with Bundle(bundle) as opened:
            device = open_emulated(opened.manifest.profile)
        test = replay_on(bundle, device, public_key, at_least)
        click.echo(f"{render(test)}\nComputed by an {device.name}.")
    else:
        test = self_test(bundle, public_key=public_key, any_machine=any_machine, at_least=at_least)
        click.echo(render(test))
    ctx.exit(0 if test.passed else 1)
