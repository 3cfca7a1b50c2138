"""The command `edgewright profiles`."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwbench.machine import device_profiles
from runtimes.codec import encode
from runtimes.errors import UsageError, one_line
from runtimes.profile import HardwareProfile
from toolchain.cli._learn import NameOrCommand, learn
from toolchain.cli._options import text_or_json_option
from toolchain.cli._target_option import LOCAL, is_board, target_option

if TYPE_CHECKING:
    from hwbench.boards.board import Introduction
    from hwbench.machine.identity import Machine
    from hwbench.measurements.peaks import Peaks


@click.group(cls=NameOrCommand, invoke_without_command=True)
@click.argument("name", required=False)
@click.option("--detect", is_flag=True, help="Describe this machine and name the profile that fits it.")
@click.option(
    "--peaks",
    is_flag=True,
    help="Also show this machine's peaks: the most that it computes and reads per second. The first time, they are "
    "measured, which takes some seconds.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="With --peaks: the number of threads; 1 and all cores, if not given.",
)
@click.option("--fresh", is_flag=True, help="With --peaks: measure again; the higher figure of each counts.")
@target_option("--detect describes", racks=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="With --target ssh://...: write a profile of that board to this file, whose name the profile gets.",
)
@text_or_json_option
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    detect: bool,
    peaks: bool,
    threads: int | None,
    fresh: bool,
    target: str,
    out: Path | None,
    form: str,
) -> None:
    """List the known devices, show one, or detect this one, or a board that ssh reaches; or learn from reports.

    \b
    edgewright profiles
    edgewright profiles jetson-orin-nano
    edgewright profiles --detect
    edgewright profiles --peaks
    edgewright profiles --detect --target ssh://pi@raspberrypi.local --out board.toml
    edgewright profiles learn report.json
    """
    if ctx.invoked_subcommand is not None:
        return
    if not peaks and (threads is not None or fresh):
        raise UsageError("--threads and --fresh are options of --peaks; give --peaks too, or leave them out.")
    if name is not None and (detect or peaks):
        raise UsageError(f"--detect and --peaks are about this machine; leave out '{name}'.")
    if target != LOCAL and not (detect and not peaks):
        raise UsageError("--target is an option of --detect alone; give --detect without --peaks, or leave it out.")
    if out is not None and (target == LOCAL or out.suffix != ".toml"):
        raise UsageError("--out is the file for a board's profile, as in --target ssh://pi@board --out board.toml.")
    if is_board(target):
        _introduce(target, out, form)
    elif detect or peaks:
        from hwbench.machine.identity import this_machine

        machine = this_machine()
        _detect(machine, _measured(machine, threads, fresh) if peaks else (), form)
    elif name is not None:
        _show(device_profiles.load(name), form)
    elif form == "json":
        click.echo(json.dumps([encode(device_profiles.load(name)) for name in device_profiles.names()], indent=2))
    else:
        _list()


command.add_command(learn)


def _list() -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from hwbench.terminal_table import add_row

    names = device_profiles.names()
    first = Column("profile", no_wrap=True, min_width=max(map(len, names)))  # users type them, so none is cut
    table = Table(first, "device", "arch", "memory", "runtimes", box=None, pad_edge=False)
    for profile in map(device_profiles.load, names):
        memory = f"{profile.memory.capacity_gb:g} GB"
        add_row(table, profile.name, profile.title, profile.arch, memory, ", ".join(profile.runtimes))
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
    if cpu.peak_gop_per_s:
        rates = [f"{precision} {rate:g}" for precision, rate in cpu.peak_gop_per_s.items()]
        lines["peaks"] = f"{', '.join(rates)} GOP/s, for forecasts"
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


def _measured(machine: Machine, threads: int | None, fresh: bool) -> tuple[Peaks, ...]:
    from runtimes import plugins

    with plugins.optional_import("Measuring peaks"):  # the list of profiles works without the toolchain's packages
        from toolchain.pipeline import machine_peaks
    wanted = sorted({1, machine.cores}) if threads is None else [threads]
    return tuple(machine_peaks.known_or_measured(machine, count, fresh=fresh) for count in wanted)


def _detect(machine: Machine, peaks: tuple[Peaks, ...], form: str) -> None:
    profile = device_profiles.detect(machine)
    if form == "json":
        found = {"profile": profile.name, "machine": encode(machine)}
        click.echo(json.dumps({**found, **({"peaks": encode(peaks)} if peaks else {})}, indent=2))
        return
    _print_pairs("this machine", _machine_lines(machine))
    click.echo(f"\nIt fits the profile {profile.name} ({profile.title}).")
    for each in peaks:
        click.echo()
        _print_pairs(f"at most, with {each.threads} thread{'s' if each.threads > 1 else ''}", _peak_lines(each))


def _introduce(target: str, out: Path | None, form: str) -> None:
    """Describe a board, and write its profile."""
    from hwbench.machine import new_profile
    from hwbench.targets.ssh import open_ssh
    from runtimes.files import replacing
    from toolchain.output_folder import output_file

    with open_ssh(target) as board:
        found = board.board.introduce(memory_speed=True)
    stem, runtimes = out.stem if out is not None else "board", {*found.installed, *found.installable}
    speed, today = found.copy_bytes_per_s or 0.0, datetime.date.today().isoformat()
    profile = new_profile.profile_of(found.machine, stem, runtimes, speed, today)
    if form == "json":
        click.echo(json.dumps({**encode(found), "profile": encode(profile)}, indent=2))
    else:
        _print_pairs(target, {**_machine_lines(found.machine), **_state_lines(found)})
        known = map(device_profiles.load, device_profiles.names())
        fitting = [each.name for each in known if device_profiles.fits(each, found.machine)]
        click.echo(f"\nIt fits {', '.join(fitting) or 'no known profile'}.")
    if out is not None:
        with output_file(out), replacing(out) as beside:
            beside.write_text(new_profile.to_toml(profile), encoding="utf-8")
        click.echo(f"Wrote '{out}'; build for the board with --profile {out} --target {target}.", err=form == "json")


def _state_lines(found: Introduction) -> dict[str, str]:
    """Name the state that the board is in now, and its runtimes."""
    conditions, unknown = found.conditions, "not shown by this system"
    heat = f"{conditions.temperature_mc / 1000:.0f} °C" if conditions.temperature_mc is not None else unknown
    clock = f"{conditions.frequency_khz / 1e6:.2f} GHz" if conditions.frequency_khz is not None else unknown
    return {
        "temperature": heat,
        "clock now": clock,
        "throttled": unknown if conditions.throttled is None else ("yes" if conditions.throttled else "no"),
        "copying": f"{(found.copy_bytes_per_s or 0) / 1e9:.1f} GB/s on one thread",
        "installed": ", ".join(found.installed) or "none",
        "installable": ", ".join(name for name in found.installable if name not in found.installed) or "none",
    }


def _peak_lines(peaks: Peaks) -> dict[str, str]:
    """Name the rate of each precision, then the memory bandwidth of each working set."""
    from hwbench.measurements.peaks import rate_text

    rates = {name: rate_text(name, rate) for name, rate in peaks.operations_per_s.items()}
    missing = {name: f"none: {why}" for name, why in peaks.missing.items()}
    memory = {f"reading {each.bytes / 2**20:g} MiB": f"{each.bytes_per_s / 1e9:,.0f} GB/s" for each in peaks.memory}
    return {**rates, **missing, **memory}


def _machine_lines(machine: Machine) -> dict[str, str]:
    caches = ", ".join(f"{name} {size // 1024} KiB" for name, size in machine.caches_bytes.items())
    return {
        "processor": f"{machine.cpu}, {machine.cores} cores, {machine.arch}",
        "instructions": ", ".join(machine.isa) or "not shown by this system",
        "caches": caches or "not shown by this system",
        "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
        "governor": machine.governor or "not shown by this system",
        "virtualised": machine.hypervisor or "no hypervisor shown",
        "board": machine.board or "none",
        "gpus": "; ".join(machine.gpus) or "none",
        "system": f"{machine.system}, Python {machine.python}",
    }


def _print_pairs(title: str, pairs: dict[str, str]) -> None:
    click.secho(title, bold=True)
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        click.echo(f"  {name:<{width}}  {one_line(value)}")
