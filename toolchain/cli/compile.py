"""The command `edgewright compile`."""

from __future__ import annotations

from pathlib import Path

import click

from runtimes.errors import UsageError
from toolchain.cli._options import check_exists
from toolchain.cli._target_option import is_board, target_option


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    metavar="FILE.pem",
    help="Refuse a bundle that the owner of this key did not sign.",
)
@target_option("compiles")
@click.pass_context
def command(ctx: click.Context, bundle: Path, public_key: Path | None, target: str) -> None:
    """Compile the TensorRT engine of a bundle on a board, check it there, and bring it back.

    The engine stays on the board, where measure, gate and verify find it, and is written to BUNDLE.engine here. On the
    device itself, python -m runtimes compile does the same.

    Exit codes: 0 the engine was written, 1 its outputs differ from the golden ones, 2 an error.

    \b
    edgewright compile out/model-jetson-orin-nano.edge --target ssh://nvidia@orin
    """
    check_exists(bundle)
    if not is_board(target):
        raise UsageError(
            "A board compiles; give one, as in --target ssh://nvidia@orin, or run on the device itself: "
            f"python -m runtimes compile {bundle}"
        )
    from hwbench.targets.ssh import open_ssh

    engine = bundle.with_name(f"{bundle.name}.engine")
    with open_ssh(target) as board:
        ended = board.compile(bundle, engine, public_key)
    click.echo(ended.printed, nl=False)
    click.echo(ended.warned, nl=False, err=True)
    if ended.code == 0:
        click.echo(f"Brought it back as '{engine}'.")
    ctx.exit(ended.code)
