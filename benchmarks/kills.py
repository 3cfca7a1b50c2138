"""Builds, calibrations and gates with a history, ended by signals at random moments; pairs of builds on one cache.

    python -m benchmarks.kills [KILLS] | tee benchmarks/results/kills.txt

A third of the moments lie after the first output was written. After each end: no process goes on; every file that was
there is there, the old or the new one and whole; no row of the history is lost. Then the same command runs to its end,
after which nothing but results is left, neither beside them nor among temporary files. Folders of killed processes are
aged by a minute first, since younger ones are not removed. Commands are forked from a process that has imported what
they need: an import writes nothing, and would take most of the time.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.hammer import pack_layer
from hwbench.machine.identity import this_machine
from runtimes.bundles.bundle import Bundle
from runtimes.errors import EdgewrightError
from toolchain.calibration import table
from toolchain.cli import main as edgewright

_IMPORTED = (
    "toolchain.pipeline.build",
    "toolchain.cli.calibrate",
    "hwbench.gate.gate",
    "hwbench.results.history",
)
_SIGNALS = [signal.SIGKILL] * 3 + [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
_PAIRS = 10
_TIMEOUT_S = 300.0
_JUST_AFTER_S = 0.02


@dataclass
class _Command:
    """A command, and what it may leave.

    Attributes:
        arguments: after `edgewright`.
        out: the folder of its results.
        results: the names of the files there, after a run that went well.
        seconds: how long the last such run took.
    """

    arguments: tuple[object, ...]
    out: Path
    results: tuple[str, ...]
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)


def main(kills: int) -> None:
    """End commands in turn, check what is left after each, and print what came of it."""
    machine = this_machine()
    seed = int(time.time())
    rng = random.Random(seed)
    for module in _IMPORTED:
        importlib.import_module(module)
    print(
        f"{machine.cpu}, {machine.cores} cores, shared with other work, Python {platform.python_version()}, seed {seed}"
    )
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        commands = _commands(folder)
        for command in commands.values():
            _finish(command, folder)
            assert _leftovers(command, folder) == [], _leftovers(command, folder)
            for bundle in folder.glob("build/*.edge"):
                shutil.copy(bundle, folder / "judged.edge")
        found = 0
        for number in range(kills):
            called = rng.choices(list(commands), (2, 1, 1))[0]
            for finding in _end_once(commands[called], folder, rng):
                found += 1
                print(f"finding {found}, kill {number + 1}, {called}: {finding}", flush=True)
        print(f"\n{'command':12}{'signal':10}{'moment':16}{'exit code':>10}{'times':>8}")
        for called, command in commands.items():
            for key, count in sorted(command.ends.items()):
                number_, moment, code = key.split("|")
                print(f"{called:12}{number_:10}{moment:16}{code:>10}{count:8}")
        print(f"\n{kills} ends: {found} findings", flush=True)
        _pairs(commands["build"], folder)


def _commands(folder: Path) -> dict[str, _Command]:
    """Make a small model and samples, and the commands on them."""
    bundle, _ = pack_layer(folder, "N")
    samples = folder / "samples.npz"
    np.savez(samples, x=np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32))
    for name in ("temporary", "cache", "build", "calibrate", "gate"):
        (folder / name).mkdir()
    source = (folder / "layer.onnx", "--calibration", samples)
    measured = ("--duration", "0.05", "--exhaustive", "--runtime", "onnxruntime", "--budget", "p90<=10s")
    history = folder / "gate" / "runs.sqlite"
    judged = (
        "--budget",
        "p90<=10s",
        "--inconclusive",
        "pass",
        "--duration",
        "0.05",
        "--max-time",
        "3s",
        "--history",
        history,
    )
    return {
        "build": _Command(
            ("build", *source, *measured, "--precision", "fp32,int8", "--name", "layer", "--out", folder / "build"),
            folder / "build",
            (f"layer-{_profile(bundle)}.edge", "report.html", "report.json"),
        ),
        "calibrate": _Command(
            ("calibrate", *source, "--method", "entropy", "--out", folder / "calibrate" / "table.json"),
            folder / "calibrate",
            ("table.json",),
        ),
        "gate": _Command(
            ("gate", folder / "judged.edge", *judged, "--output", f"junit={folder / 'gate' / 'gate.xml'}"),
            folder / "gate",
            ("gate.xml", "runs.sqlite"),
        ),
    }


def _profile(bundle: Path) -> str:
    with Bundle(bundle) as opened:
        return opened.manifest.profile.name


def _end_once(command: _Command, folder: Path, rng: random.Random) -> list[str]:
    """End one run of a command at a random moment, and tell what is not as it should be."""
    number, late = rng.choice(_SIGNALS), rng.random() < 1 / 3
    if command.out.name == "build" and rng.random() < 0.5:
        for entry in (folder / "cache").iterdir():  # else nothing would be measured
            if entry.is_file():
                entry.unlink()
    before, rows = _stamps(command.out), _rows(command.out)
    process = psutil.Process(_fork(command.arguments, folder))
    if late:
        _wait(lambda: _stamps(command.out) != before or not process.is_running() or _is_over(process))
        time.sleep(rng.uniform(0, _JUST_AFTER_S))
    else:
        time.sleep(rng.uniform(0, command.seconds))
    children = []
    with suppress(psutil.Error):
        children = process.children(recursive=True)
        process.send_signal(number)
    code = _result(process.pid)
    moment = "output is there" if _stamps(command.out) != before else "before output"
    command.ends[f"{number.name}|{moment}|{code}"] += 1
    _, alive = psutil.wait_procs(children, timeout=10)
    findings = [f"the process {one.pid} goes on after {number.name}" for one in alive]
    expected = {0, -number, 128 + number}
    findings += [f"exit code {code} after {number.name}"] * (code not in expected)
    findings += [f"'{name}' is lost" for name in before if not (command.out / name).exists()]
    findings += _damage(command.out, command.results)
    findings += [f"the history has {_rows(command.out)} rows instead of {rows}"] * (_rows(command.out) < rows)
    if number != signal.SIGKILL:
        findings += [f"{number.name} left {left}" for left in _leftovers(command, folder)]
    _age(folder)
    try:
        _finish(command, folder)
    except AssertionError as error:
        findings.append(f"the next run: {error}")
    findings += [f"the next run left {left} of {number.name}" for left in _leftovers(command, folder)]
    if (now := _rows(command.out)) not in ((rows + 1, rows + 2) if command.out.name == "gate" else (0,)):
        findings.append(f"the history has {now} rows after {rows}")
    return findings


def _pairs(command: _Command, folder: Path) -> None:
    """Run builds two at a time on one empty cache, every other pair into one folder."""
    faults = Counter[str]()
    for pair in range(_PAIRS):
        for entry in (folder / "cache").iterdir():
            if entry.is_file():
                entry.unlink()
        outs = [folder / f"pair-{pair}-{0 if pair % 2 else turn}" for turn in range(2)]
        processes = [
            _fork((*command.arguments[:-1], out), folder, folder / f"pair-{pair}-{turn}.txt")
            for turn, out in enumerate(outs)
        ]
        for turn, process in enumerate(processes):
            said = folder / f"pair-{pair}-{turn}.txt"
            faults["exit codes other than 0"] += _result(process) != 0
            faults["damaged entries"] += said.read_text().count("is made again")
        for out in set(outs):
            faults["damaged files"] += len(_damage(out, command.results))
            faults["missing files"] += {file.name for file in out.iterdir()} != set(command.results)
        faults["files left in the cache"] += sum(file.name.startswith(".") for file in (folder / "cache").iterdir())
    print(f"{_PAIRS} pairs of builds at once on one empty cache, half of them into one folder: {dict(faults)}")


def _fork(arguments: tuple[object, ...], folder: Path, said: Path | None = None) -> int:
    """Start a command in a process of its own."""
    sys.stdout.flush()
    if (child := os.fork()) != 0:
        return child
    code = 1
    try:
        os.setsid()
        log = os.open(said or folder / "said.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(TMPDIR=str(folder / "temporary"), EDGEWRIGHT_CACHE=str(folder / "cache"))
        tempfile.tempdir = None
        edgewright([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    finally:
        os._exit(code)


def _result(process: int) -> int:
    """Wait for a process; return its exit code, or minus its signal."""
    end = time.monotonic() + _TIMEOUT_S
    while True:
        pid, status = os.waitpid(process, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.001)


def _finish(command: _Command, folder: Path) -> None:
    """Run a command to its end."""
    start = time.monotonic()
    code = _result(_fork(command.arguments, folder))
    said = (folder / "said.txt").read_text()
    assert code == 0, f"exit code {code}: {said[-500:]}"
    assert "is made again" not in said, said
    command.seconds = time.monotonic() - start


def _leftovers(command: _Command, folder: Path) -> list[str]:
    """List what is neither a result nor an entry of the cache."""
    found = [file.name for file in (folder / "temporary").iterdir()]
    found += [file.name for file in command.out.iterdir() if file.name not in command.results]
    return [*found, *(file.name for file in (folder / "cache").rglob(".*"))]


def _damage(out: Path, results: tuple[str, ...]) -> list[str]:
    """Read every result that is there as whole."""
    found = []
    for name in results:
        file = out / name
        try:
            if file.suffix == ".edge" and file.exists():
                with Bundle(file) as bundle:
                    bundle.check()
            elif name == "table.json" and file.exists():
                table.read(file)
            elif file.suffix == ".json" and file.exists():
                json.loads(file.read_text())
            elif file.suffix in (".html", ".xml") and file.exists():
                assert file.read_text().rstrip().endswith(("</html>", "</testsuites>")), "has no end"
        except (EdgewrightError, ValueError, AssertionError) as error:
            found.append(f"'{name}': {error}")
    return found


def _rows(out: Path) -> int:
    file = out / "runs.sqlite"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(file)) as database:
        (name,) = (name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        return int(database.execute(f"SELECT COUNT(DISTINCT at) FROM {name}").fetchone()[0])


def _stamps(out: Path) -> dict[str, tuple[int, int]]:
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in out.iterdir() if file.name[0] != "."}


def _age(folder: Path) -> None:
    for file in (*(folder / "temporary").iterdir(), *folder.glob("*/.*"), *folder.glob("cache/*/.*")):
        os.utime(file, (0, 0))


def _is_over(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _TIMEOUT_S
    while not condition() and time.monotonic() < end:
        time.sleep(0.0005)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
