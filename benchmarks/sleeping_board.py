"""A board that sleeps instead of building, for `benchmarks.rack`. Workers import this, and nothing heavy with it."""

from __future__ import annotations

import json
import time
from typing import Any

from hwbench.rack.worker_files import find
from hwbench.rack.worker_tasks import alone

CELL_S = 4.0


def sleep(request: Any, **names: str) -> dict[str, bytes]:
    """Stand in for a build on a board: check that the files came, and sleep."""
    for name in names.values():
        find(name)
    with alone():
        time.sleep(CELL_S)
    return {"outcome.json": json.dumps({"status": "built"}).encode()}
