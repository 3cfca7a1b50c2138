"""The command `edgewright targets`."""

from __future__ import annotations

import json

import click

from toolchain.cli._option_types import FileOrName
from toolchain.cli._options import text_or_json_option


@click.group(invoke_without_command=True)
@text_or_json_option
@click.pass_context
def command(ctx: click.Context, form: str) -> None:
    """List the devices, and how each one's outputs can be proved on this machine; or set an emulated one up.

    A device's outputs are those of its own kernels: native if this machine has them, or emulated by QEMU's user mode.
    Elsewhere they are computed by exact arithmetic, and engines are planned. An emulated device measures no time.

    \b
    edgewright targets
    edgewright targets setup rpi5
    """
    if ctx.invoked_subcommand is not None:
        return
    from hwbench.emulation import proofs
    from hwbench.machine import device_profiles
    from hwbench.machine.identity import this_machine

    machine = this_machine()
    found = [proofs.here(device_profiles.load(name), machine) for name in device_profiles.names()]
    if form == "json":
        from runtimes.codec import encode

        click.echo(json.dumps([encode(proof) for proof in found], indent=2))
    else:
        from hwbench.terminal_table import printed

        rows = [(one.profile, one.way, one.note + (f"; {one.missing}" if one.missing else "")) for one in found]
        click.echo(printed(("profile", "outputs", "by"), rows))


@command.command()
@click.argument("profile", type=FileOrName())
def setup(profile: str) -> None:
    """Make what an emulated device needs: its system with Python, NumPy and ONNX Runtime, once, in the cache.

    It takes QEMU and apt (Debian: qemu-user-static), 65 MB of downloads and 230 MB of disk, and no root.

    \b
    edgewright targets setup rpi5
    """
    from hwbench.emulation import set_up
    from hwbench.machine import device_profiles
    from hwbench.progress import bar

    device = device_profiles.load(profile)
    with bar(f"Setting up {device.name}", set_up.STEPS) as tick:
        made = set_up.set_up(device, tick)
    click.echo(f"The emulated {device.name} is ready; its system is in '{made.folder}'.")
