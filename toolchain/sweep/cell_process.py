"""Child process that builds one cell: `python -m toolchain.sweep.cell_process`, in a folder that holds request.json.

A file target.json beside it names a board that measures. The process leaves outcome.json, and the build's files in the
folder `out`. Paths in the request are seen from the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
from pathlib import Path

from hwbench.boards.faults import BoardLostError
from runtimes.codec import decode, encode
from runtimes.errors import EdgewrightError, one_line
from runtimes.processes.parent_death import end_with_parent
from toolchain.candidates.build_cache import default_folder
from toolchain.pipeline.build import build
from toolchain.pipeline.preflight import NothingToTryError
from toolchain.pipeline.request import BuildRequest
from toolchain.sweep.build_in_child import OUT, OUTCOME, REQUEST, TARGET, MeasuredOn, Outcome


def main() -> None:
    """Build the request of the working directory."""
    request = decode(BuildRequest, json.loads(Path(REQUEST).read_text("utf-8")), REQUEST)
    Path(OUT).mkdir()
    cache = default_folder() if request.cache is not None else None  # this machine's, which may be another
    target = Path(TARGET)
    on = decode(MeasuredOn, json.loads(target.read_text("utf-8")), TARGET) if target.exists() else None
    outcome = _build(dataclasses.replace(request, out=Path(OUT), cache=cache), on)
    Path(OUTCOME).write_text(json.dumps(encode(outcome)), encoding="utf-8")


def _build(request: BuildRequest, on: MeasuredOn | None) -> Outcome:
    try:
        if on is None:
            build(request)
        else:
            from hwbench.targets.dask import open_dask  # with the extra dask

            with open_dask(on.scheduler, on.kind, on.worker) as board:
                build(request, board)
    except BoardLostError as error:
        return Outcome("lost", one_line(str(error)))
    except NothingToTryError as error:
        return Outcome("not built", one_line(str(error)))
    except EdgewrightError as error:
        return Outcome("failed", one_line(str(error)))
    return Outcome("built")


if __name__ == "__main__":
    # Ctrl-C in the terminal reaches all its processes; the parent decides what it ends.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    main()
