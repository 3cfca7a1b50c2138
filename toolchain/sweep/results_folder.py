"""The folder of a sweep: a folder per cell, written whole or not at all, which a later sweep takes up again."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from hwbench.results import profile_results
from hwbench.results.profile_results import ProfileResult
from runtimes.codec import decode, encode
from runtimes.errors import UsageError
from runtimes.files import replacing
from toolchain.sweep.cells import Cell, CellRecord

_RECORD, _REPORT = "cell.json", "report.json"


@dataclass(frozen=True)
class ResultsFolder:
    """The folder that a sweep writes to."""

    path: Path

    @property
    def cells(self) -> Path:
        """The folder of the cells' folders."""
        return self.path / "cells"

    def of(self, cell: Cell) -> Path:
        """Return a cell's folder."""
        return self.cells / cell.name

    def store(self, cell: Cell, record: CellRecord, made: Path | None) -> None:
        """Put a cell's files in the place of an earlier sweep's.

        Args:
            cell: the cell.
            record: its outcome.
            made: a folder on the same disk with its files; None if there are none.
        """
        place = self.of(cell)
        if made is None:
            if place.is_dir() and self.record(cell) != record:
                shutil.rmtree(place)
            return
        with replacing(made / _RECORD) as beside:
            beside.write_text(json.dumps(encode(record), indent=1) + "\n", encoding="utf-8")
        coming = self.cells / f".{cell.name}.coming"
        shutil.rmtree(coming, ignore_errors=True)
        coming.mkdir(parents=True)
        for file in made.iterdir():
            shutil.move(file, coming / file.name)
        if place.exists():
            shutil.rmtree(place)
        coming.replace(place)

    def record(self, cell: Cell) -> CellRecord | None:
        """Read the outcome of a cell that was built; None if there is none, or it is damaged."""
        with contextlib.suppress(OSError, ValueError, RecursionError, UsageError):
            file = self.of(cell) / _RECORD
            return decode(CellRecord, json.loads(file.read_bytes()), str(file))
        return None

    def result(self, cell: Cell) -> ProfileResult | None:
        """Read the report of a cell that was built; None if there is none, or it is damaged."""
        with contextlib.suppress(OSError, ValueError, UsageError):  # ValueError: it has several profiles
            file = self.of(cell) / _REPORT
            (result,) = profile_results.from_json(file.read_bytes(), str(file)).profiles
            return result
        return None
