"""Cells of a sweep: one model for one device in one precision, or in whichever a build selects."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import runtimes
from runtimes.codec import encode
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from toolchain.models.onnx_model import files_of, load_ir
from toolchain.pipeline.request import BuildRequest

CellStatus = Literal["built", "not built", "failed"]

_SAMPLES = ("calibration", "calibration_table", "evaluation", "unlabelled")
# What a result does not depend on: where it goes, and how long ago it was measured.
_APART = ("source", "out", "cache", "fresh", *_SAMPLES)


@dataclass(frozen=True)
class Cell:
    """One build of a sweep.

    Attributes:
        request: the build; its source is an ONNX file and its samples are .npz files.
        precision: the only precision that it tries; empty for all of the request.
    """

    request: BuildRequest
    precision: str

    @property
    def model(self) -> str:
        """The model's name."""
        return self.request.name

    @property
    def profile(self) -> HardwareProfile:
        """The device."""
        return self.request.profiles[0]

    @property
    def name(self) -> str:
        """The name of its folder: "digits-rpi5-int8"."""
        return f"{self.model}-{self.profile.name}-{self.precision or 'any'}"

    @property
    def title(self) -> str:
        """The cell in words: "digits for rpi5, int8"."""
        return f"{self.model} for {self.profile.name}{f', {self.precision}' if self.precision else ''}"


@dataclass(frozen=True)
class CellRecord:
    """The outcome of a cell, as cell.json holds it.

    Attributes:
        key: the digest of all that the outcome depends on; see `key_of`.
        status: built; not built, since there is nothing to try; or failed.
        reason: the reason for a status other than built, in one sentence.
        place: the machine that built it, in words.
        seconds: the time that it took there.
        losses: the places that were lost while they built it.
    """

    key: str
    status: CellStatus
    reason: str = ""
    place: str = ""
    seconds: float = 0.0
    losses: tuple[str, ...] = ()


def list_cells(requests: Iterable[BuildRequest]) -> tuple[Cell, ...]:
    """List the cells of requests, each for its profiles and the precisions that it names.

    Raises:
        UsageError: two cells have one name.
    """
    cells: dict[str, Cell] = {}
    for request in requests:
        for profile in request.profiles:
            for precision in request.precisions or ("",):
                alone = (precision,) if precision else ()
                cell = Cell(dataclasses.replace(request, profiles=(profile,), precisions=alone), precision)
                if cell.name in cells:
                    raise UsageError(
                        f"There are two of {cell.title}; give each model a name of its own, as in an edgewright.toml "
                        "with name = ..., and each device and precision once."
                    )
                cells[cell.name] = cell
    return tuple(cells.values())


def files_read(request: BuildRequest) -> dict[str, list[Path]]:
    """List the files that a request reads, by field; the first one is the field's, others belong to it."""
    source = Path(request.source)
    found = {"source": [source, *(file for file in files_of(source, load_ir(source)) if file != source)]}
    for name in _SAMPLES:
        file = getattr(request, name)
        if file is not None:
            found[name] = [file]
    return found


def key_of(cell: Cell, *, on_rack: bool = False) -> str:
    """Digest what a cell's outcome depends on: files, options, edgewright's release, and whether a rack measures it."""
    fields = dataclasses.fields(cell.request)
    asked = {each.name: encode(getattr(cell.request, each.name)) for each in fields if each.name not in _APART}
    read = {name: [_sha256(file) for file in files] for name, files in files_read(cell.request).items()}
    code = {text: _sha256(Path(file)) for text, file in _own_metrics(cell.request)}
    parts = {"release": runtimes.__version__, "asked": asked, "read": read, "code": code}
    text = json.dumps({**parts, "on_rack": on_rack}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _own_metrics(request: BuildRequest) -> Iterator[tuple[str, str]]:
    for text in request.metrics:
        where = text.rpartition(":")[0]
        if where.endswith(".py"):
            yield text, where


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
