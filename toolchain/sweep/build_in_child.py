"""Start of a cell's process, `toolchain.sweep.cell_process`, and the files that it reads and leaves.

A board's worker imports this, and nothing heavy with it.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from hwbench import child_process
from runtimes.codec import decode, encode
from runtimes.errors import EdgewrightError
from toolchain.pipeline.request import BuildRequest

REQUEST, TARGET, OUTCOME, OUT = "request.json", "target.json", "outcome.json", "out"

_LIMIT_S = 86_400.0  # a build that takes a day has hung


class PlaceLostError(EdgewrightError):
    """A place is gone, and its cell has to be built elsewhere."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of the build: built; not built, since there is nothing to try; failed; or lost, with its board."""

    status: Literal["built", "not built", "failed", "lost"]
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class MeasuredOn:
    """A board of a rack that measures: the scheduler, the kind of board, and the worker's address."""

    scheduler: str
    kind: str
    worker: str


def build_in_child(
    request: BuildRequest, folder: Path, files: Mapping[str, Path] | None = None, on: MeasuredOn | None = None
) -> None:
    """Build a request in a process of its own, and move its files into an empty folder.

    Args:
        request: the build, with absolute paths; or paths that begin with in/, for `files`.
        folder: the folder for the results.
        files: files to find below in/, by their names there.
        on: the board that measures; this machine, if None.

    Raises:
        PlaceLostError: the board is gone.
        CrashError: the process died or hung.
        BackendError: it failed in a way that is an error of ours.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as name:
        work = Path(name)
        (work / REQUEST).write_text(json.dumps(encode(dataclasses.replace(request, out=Path(OUT)))), encoding="utf-8")
        for inside, file in (files or {}).items():
            (work / "in" / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, work / "in" / inside)  # a model's weights are not read through links
        if on is not None:
            (work / TARGET).write_text(json.dumps(encode(on)), encoding="utf-8")
        child_process.run_module("toolchain.sweep.cell_process", [], work, _LIMIT_S)
        outcome = decode(Outcome, json.loads((work / OUTCOME).read_text("utf-8")), OUTCOME)
        if outcome.status == "lost":
            raise PlaceLostError(outcome.reason)
        for made in ((work / OUTCOME), *(work / OUT).iterdir()):
            shutil.move(made, folder / made.name)
