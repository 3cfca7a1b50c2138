"""The host's side of LoadGen: run it on a bundle in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path

from hwbench.child_process import run_module
from hwbench.load.loadgen.load_plan import Loaded, LoadPlan
from hwbench.targets.local import limit_s
from runtimes.codec import decode, encode
from runtimes.errors import NotInstalledError


def check_installed() -> None:
    """Check that LoadGen is installed.

    Raises:
        NotInstalledError: it is not; the message holds the command that installs it.
    """
    if importlib.util.find_spec("mlperf_loadgen") is None:
        raise NotInstalledError(
            "The scenarios multi_stream, offline and server need MLPerf's LoadGen, which has wheels for x86-64 Linux; "
            "install it with: pip install 'edgewright[loadgen]'"
        )


def run_under_load(bundle: Path, inputs: Path, plan: LoadPlan) -> Loaded:
    """Run LoadGen once on this machine.

    Raises:
        BackendError: the process failed; the message is the error that it wrote to stderr.
        CrashError: the process died or hung.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        out = Path(folder, "loaded.json")
        arguments = [str(bundle.absolute()), "--inputs", str(inputs.absolute()), "--out", str(out)]
        arguments += ["--plan", json.dumps(encode(plan))]
        run_module("hwbench.load.loadgen", arguments, Path(folder), limit_s(plan.sampling))
        return decode(Loaded, json.loads(out.read_text()), "load")
