"""edgewright profiles."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from hwbench import devices
from hwbench.machine import Machine, this_machine
from runtimes.codec import encode
from runtimes.profile import HardwareProfile


@click.command()
@click.argument("name", required=False)
@click.option("--detect", is_flag=True, help="Describe this machine and name the profile that fits it.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(name: str | None, detect: bool, form: str) -> None:
    """List the devices we know, show one, or detect the one we are on.

    \b
    edgewright profiles
    edgewright profiles jetson-orin-nano
    edgewright profiles --detect
    """
    if detect:
        _detect(form)
    elif name is not None:
        _show(devices.load(name), form)
    elif form == "json":
        click.echo(json.dumps([encode(devices.load(name)) for name in devices.names()], indent=2))
    else:
        _list()


def _list() -> None:
    table = Table("profile", "device", "arch", "memory", "runtimes", box=None, pad_edge=False)
    for profile in map(devices.load, devices.names()):
        memory = f"{profile.memory.capacity_gb:g} GB"
        table.add_row(profile.name, profile.title, profile.arch, memory, ", ".join(profile.runtimes))
    Console().print(table)


def _show(profile: HardwareProfile, form: str) -> None:
    if form == "json":
        click.echo(json.dumps(encode(profile), indent=2))
        return
    cpu = profile.cpu
    processor = [
        cpu.model,
        f"{cpu.cores} cores" if cpu.cores is not None else None,
        f"{cpu.clock_ghz:g} GHz" if cpu.clock_ghz is not None else None,
        profile.arch,
    ]
    lines = {
        "device": profile.title,
        "processor": ", ".join(word for word in processor if word is not None),
        "instructions": ", ".join(cpu.isa) or "the architecture's base",
        "memory": f"{profile.memory.capacity_gb:g} GB, {profile.memory.bandwidth_gb_per_s:g} GB/s",
        "threads": str(profile.threads),
    }
    if profile.gpu is not None:
        lines["gpu"] = f"{profile.gpu.model}, compute capability {profile.gpu.compute_capability}"
    if profile.tensorrt is not None:
        lines["tensorrt"] = (
            f"{profile.tensorrt.version} with CUDA {profile.tensorrt.cuda}, from {profile.tensorrt.source}"
        )
    for runtime in profile.runtimes:
        lines[runtime] = ", ".join(profile.precisions[runtime])
    _print_pairs(profile.name, lines)
    _print_pairs("sources", dict(profile.sources))


def _detect(form: str) -> None:
    machine = this_machine()
    profile = devices.detect(machine)
    if form == "json":
        click.echo(json.dumps({"profile": profile.name, "machine": encode(machine)}, indent=2))
        return
    _print_pairs("this machine", _machine_lines(machine))
    click.echo(f"\nIt fits the profile {profile.name} ({profile.title}).")


def _machine_lines(machine: Machine) -> dict[str, str]:
    caches = ", ".join(f"{name} {size // 1024} KiB" for name, size in machine.caches_bytes.items())
    return {
        "processor": f"{machine.cpu}, {machine.cores} cores, {machine.arch}",
        "instructions": ", ".join(machine.isa) or "not shown by this system",
        "caches": caches or "not shown by this system",
        "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
        "governor": machine.governor or "not shown by this system",
        "virtualised": machine.hypervisor or "not that it shows",
        "board": machine.board or "none",
        "gpus": "; ".join(machine.gpus) or "none",
        "system": f"{machine.system}, Python {machine.python}",
    }


def _print_pairs(title: str, pairs: dict[str, str]) -> None:
    click.secho(title, bold=True)
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        click.echo(f"  {name:<{width}}  {value}")
