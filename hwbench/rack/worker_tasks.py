"""Work on a Dask worker: one measurement at a time, in processes that end when nobody waits for them any more."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distributed import get_worker

import runtimes
from hwbench import child_process
from hwbench.machine.identity import this_machine
from runtimes.codec import encode
from runtimes.errors import BackendError

_POLL_S = 0.25
_OF_BUILDS = ("torch", "onnx_ir", "onnxscript")  # a part of what the extra toolchain installs


def describe() -> dict[str, Any]:
    """Describe this worker: edgewright's version, the machine, and whether builds can run here."""
    can_build = all(importlib.util.find_spec(name) is not None for name in _OF_BUILDS)
    return {"version": runtimes.__version__, "machine": encode(this_machine()), "can_build": can_build}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold this machine for one measurement, whichever worker here measures, and kill what it runs if it is cancelled.

    Dask cannot end a task that runs, so a thread looks whether the scheduler still wants this one. It does not once the
    client has cancelled it, or is gone.

    Raises:
        BackendError: it was cancelled before it began.
    """
    processes: set[child_process.Process] = set()
    child_process.track_in(processes)
    ended = threading.Event()
    worker, key = get_worker(), str(get_worker().get_current_task())

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"

    def watch() -> None:
        while not ended.wait(_POLL_S):
            for process in list(processes) if not is_wanted() else ():
                process.kill()

    lock = Path(tempfile.gettempdir(), f"edgewright-measuring-{os.geteuid()}.lock")
    with lock.open("a") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not is_wanted():
                    raise BackendError("nobody waits for this measurement any more") from None
                time.sleep(_POLL_S)
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
