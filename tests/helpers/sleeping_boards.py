"""Cells that a worker of `dask_rack` does not build: it sleeps, and gives back what the test left for it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from hwbench.rack.worker_files import find
from hwbench.rack.worker_tasks import alone


def build_slowly(request, **names):
    """Note the process that works on the cell, wait, and return an outcome and a report."""
    folder = Path(os.environ["EDGEWRIGHT_SLEEPING"])
    cell = f"{request['name']}-{request['precisions'][0]}"
    for name in names.values():
        assert find(name).stat().st_size
    with alone():
        (folder / f"{cell}.{os.getpid()}").touch()
        end_s = time.monotonic() + float((folder / "seconds").read_text())
        while time.monotonic() < end_s and not (folder / "go").exists():
            time.sleep(0.02)
    return {
        "outcome.json": json.dumps({"status": "built"}).encode(),
        "report.json": (folder / "report.json").read_bytes(),
    }
