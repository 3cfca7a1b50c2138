"""The flow of `edgewright sweep`: plain files, cells, places, and a report of what was built now or before."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwbench.formats import html
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.progress import Tick, bar, say
from hwbench.rack.scheduler_address import parse_scheduler
from hwbench.results import profile_results
from runtimes.codec import encode
from runtimes.files import replacing
from runtimes.plugins import optional_import
from toolchain.pipeline.request import BuildRequest
from toolchain.sweep import sweep_tables
from toolchain.sweep.cells import Cell, CellRecord, key_of, list_cells
from toolchain.sweep.places import LocalCores, Place
from toolchain.sweep.plain_files import with_plain_files
from toolchain.sweep.results_folder import ResultsFolder
from toolchain.sweep.run_cells import RETURN_S, run_cells
from toolchain.sweep.sweep_report import SCHEMA_VERSION, SweepReport, row_of

if TYPE_CHECKING:  # needs the extra dask
    from toolchain.sweep.rack import Rack

REPORTS = ("sweep.json", "sweep.md", "sweep.html")
"""The files of a sweep beside its cells: rows, tables, and all candidates with their evidence."""


@dataclass(frozen=True)
class SweepRequest:
    """Everything that `edgewright sweep` is told.

    Attributes:
        builds: a build per model, for all devices and precisions.
        out: the folder for the results.
        lanes: the number of cells that are built at a time on this machine, where nothing is timed.
        prices: prices per hour by device, in place of the profiles'.
        fresh: build all cells, those of an earlier sweep, too.
        scheduler: the address of a Dask scheduler; None for this machine alone.
        return_s: the time in seconds that a lost board has to come back.
    """

    builds: tuple[BuildRequest, ...]
    out: Path
    lanes: int = 1
    prices: Mapping[str, float] = dataclasses.field(default_factory=dict)
    fresh: bool = False
    scheduler: str | None = None
    return_s: float = RETURN_S


def sweep(request: SweepRequest) -> SweepReport:
    """Build all cells, and write the reports.

    At Ctrl-C the reports are of the cells that were built by then; the next sweep into the folder goes on from there.

    Raises:
        UsageError: a source, samples or an option cannot be used; no cell was begun.
        BoardLostError: no scheduler answers.
        KeyboardInterrupt: Ctrl-C; the reports are written.
    """
    folder = ResultsFolder(request.out)
    records: dict[str, CellRecord] = {}
    list_cells(request.builds)  # names that occur twice are refused before anything is exported
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work, contextlib.ExitStack() as stack:
        cells = list_cells(
            with_plain_files(build, _folder(Path(work), number)) for number, build in enumerate(request.builds)
        )
        keys = {cell.name: key_of(cell, on_rack=request.scheduler is not None) for cell in cells}
        for cell in cells if not request.fresh else ():
            record = folder.record(cell)
            if record is not None and record.key == keys[cell.name] and folder.result(cell) is not None:
                records[cell.name] = record
        left = [(cell, keys[cell.name]) for cell in cells if cell.name not in records]
        if records:
            say(f"{len(records)} of {len(cells)} cells were built before.")
        if left:
            places = _places(request, [cell for cell, _ in left], stack)
            folder.cells.mkdir(parents=True, exist_ok=True)
            tick = stack.enter_context(bar("Sweeping", len(left)))
            try:
                run_cells(left, places, folder.cells, _finisher(folder, records, len(left), tick), request.return_s)
            except KeyboardInterrupt:
                _write(folder, cells, records, request)
                raise
        return _write(folder, cells, records, request)


def _folder(work: Path, number: int) -> Path:
    folder = work / str(number)
    folder.mkdir()
    return folder


def _places(request: SweepRequest, cells: Sequence[Cell], stack: contextlib.ExitStack) -> Callable[[], Sequence[Place]]:
    """Find the places that build: this machine, and the boards of the rack, which may join at any time."""
    rack: Rack | None = None
    if request.scheduler is not None:
        with optional_import("A rack"):
            from hwbench.rack import scheduler
            from toolchain.sweep.rack import Rack, check_sendable
        client = stack.enter_context(scheduler.connect(parse_scheduler(request.scheduler)))
        rack = Rack(client, request.scheduler, {cell.profile.name: cell.profile for cell in cells})
        check_sendable(cells, rack.profiles)
    machine = this_machine()
    timed = frozenset(cell.profile.name for cell in cells if device_profiles.fits(cell.profile, machine))
    first: list[Place] = [LocalCores(request.lanes, rack.profiles if rack is not None else frozenset(), timed)]

    def joined() -> list[Place]:
        found = [*first, *(rack.join() if rack is not None else ())]
        first.clear()
        return found

    return joined


def _finisher(
    folder: ResultsFolder, records: dict[str, CellRecord], total: int, tick: Tick
) -> Callable[[Cell, CellRecord, Path | None], None]:
    done = 0

    def finish(cell: Cell, record: CellRecord, made: Path | None) -> None:
        nonlocal done
        done += 1
        folder.store(cell, record, made)
        records[cell.name] = record
        tick(cell.title)
        what = f"{record.status} on {record.place} in {record.seconds:.0f} s" if record.place else record.status
        say(f"{done} of {total}: {cell.title}: {what}{f': {record.reason}' if record.reason else ''}")

    return finish


def _write(
    folder: ResultsFolder, cells: Sequence[Cell], records: Mapping[str, CellRecord], request: SweepRequest
) -> SweepReport:
    prices = {cell.profile.name: price for cell in cells if (price := _price(cell, request)) is not None}
    results = {cell.name: folder.result(cell) for cell in cells if cell.name in records}
    rows = tuple(
        row_of(cell, records.get(cell.name), results.get(cell.name), prices.get(cell.profile.name)) for cell in cells
    )
    report = SweepReport(SCHEMA_VERSION, rows, prices)
    named = (
        dataclasses.replace(result, model=f"{cell.model} {cell.precision}".strip())
        for cell in cells
        if (result := results.get(cell.name)) is not None
    )
    texts = (
        json.dumps(encode(report), indent=1) + "\n",
        sweep_tables.as_markdown(report),
        html.render(profile_results.of(list(named))),
    )
    folder.path.mkdir(parents=True, exist_ok=True)
    for name, written in zip(REPORTS, texts):
        with replacing(folder.path / name) as beside:
            beside.write_text(written, encoding="utf-8")
    return report


def _price(cell: Cell, request: SweepRequest) -> float | None:
    return request.prices.get(cell.profile.name, cell.profile.price_per_hour)
