"""A rack on this machine: a Dask scheduler and workers as processes, which tests start and kill one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_START_S = 60.0


class Rack:
    """A scheduler on 127.0.0.1, and its workers by name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self._file = folder, folder / "scheduler.json"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        self._wait(self._file.exists)
        address: str = json.loads(self._file.read_text())["address"]
        self.target = address.replace("tcp://", "dask://")

    def join(self, name: str, **resources: int) -> None:
        """Start a worker that offers resources, and wait until the scheduler knows it."""
        offered = ",".join(f"{kind}={n}" for kind, n in resources.items())
        options = ["--no-nanny", "--nthreads", "2", "--name", name, "--local-directory", str(self.folder)]
        self.workers[name] = self._start("worker", *options, "--resources", offered, log=name)
        self._wait(lambda: "Registered to:" in self.log(name))

    def kill(self, name: str) -> None:
        """Kill a worker, as a board that loses its power."""
        self.workers[name].kill()
        self.workers[name].wait()

    def log(self, name: str) -> str:
        """Read what a worker has written."""
        return (self.folder / f"{name}.log").read_text()

    def close(self) -> None:
        """End all processes."""
        for process in (*self.workers.values(), self._scheduler):
            process.kill()
            process.wait()

    def _start(self, what: str, *options: str, log: str = "scheduler") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(self._file)]
        paths = [str(ROOT), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        with (self.folder / f"{log}.log").open("wb") as stderr:
            return subprocess.Popen(
                [*command, "--no-dashboard", *options],
                stdout=stderr,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"},
            )

    def _wait(self, is_there: object) -> None:
        assert callable(is_there)
        end_s = time.monotonic() + _START_S
        while not is_there():
            assert time.monotonic() < end_s, [file.read_text() for file in self.folder.glob("*.log")]
            time.sleep(0.05)
