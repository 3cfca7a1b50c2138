"""The command `edgewright profiles learn`, and a group that a device's name may stand in the place of a command of."""

from __future__ import annotations

from pathlib import Path

import click

from hwbench.machine import device_profiles
from runtimes.errors import UsageError
from toolchain.cli._option_types import FileOrName


class NameOrCommand(click.Group):
    """A group whose first argument may be a device's name instead of a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_name = not args or args[0] not in self.commands
        ctx.allow_interspersed_args = is_name  # options after a command are the command's
        return super().parse_args(ctx, args if is_name else ["", *args])


@click.command()
@click.argument("reports", metavar="REPORT...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--profile",
    type=FileOrName(),
    metavar="NAME|FILE.toml",
    help="The device that wrote the reports, if they name a profile of your own.",
)
@click.option("--forget", is_flag=True, help="Forget first what was learnt before.")
def learn(reports: tuple[Path, ...], profile: str | None, forget: bool) -> None:
    """Learn from reports that devices wrote, for the forecasts of builds for devices that are not here.

    A report is what measure --out and build write. Its artifact's latency is remembered on this machine.

    \b
    edgewright profiles learn report-of-my-board.json
    edgewright profiles learn --forget
    """
    if not reports and not forget:
        raise UsageError("Give the report.json of a device, as edgewright measure --out writes it, or --forget.")
    from hwbench.forecasts import learnt_devices
    from hwbench.results.observations_in_reports import read_observations
    from hwbench.wording import count

    device = device_profiles.load(profile) if profile is not None else None
    read = [read_observations(report, device) for report in reports]
    if forget:
        learnt_devices.forget()
    found = [one for each in read for one in each.observations]
    reasons = dict.fromkeys(reason for each in read for reason in each.reasons)
    if reports and not found:
        raise UsageError(f"Nothing can be learnt: {'; '.join(reasons) or 'the reports hold no measurement'}.")
    total = learnt_devices.learn(found) if found else 0
    latencies = count(len(found), "latency", "latencies")
    click.echo(f"Learnt {latencies}; remembered beside those that ship: {total:,}.")
    for reason in reasons:
        click.echo(f"  some were left out: {reason}")
