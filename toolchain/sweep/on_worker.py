"""Build of a cell on a Dask worker. This code runs there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hwbench.rack.worker_files import find
from hwbench.rack.worker_tasks import alone
from runtimes.codec import decode
from toolchain.pipeline.request import BuildRequest
from toolchain.sweep.build_in_child import build_in_child


def build_cell(request: Any, **names: str) -> dict[str, bytes]:
    """Build an encoded request on this worker, whose files are held here by name; return the files that were made."""
    with alone(), tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        files = {inside: find(name) for inside, name in names.items()}
        build_in_child(decode(BuildRequest, request, "the request"), Path(folder), files)
        return {made.name: made.read_bytes() for made in Path(folder).iterdir()}
