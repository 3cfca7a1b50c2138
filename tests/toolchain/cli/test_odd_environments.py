"""Users without an account, locales, clocks, masks, quotas and read-only folders: whole commands, as they are."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import known_peaks
import numpy as np
import onnx
import pytest
from leftovers import contents_of

UID = 54321  # nobody's
ROOT = Path(__file__).parents[3]
PROGRAM = (sys.executable, "-c", "from toolchain.cli import main; main()")


def run(*arguments: object, within: tuple[object, ...] = (), **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process whose environment has these changes; None removes a variable."""
    merged = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
    environment = {name: value for name, value in merged.items() if value is not None}
    command = [str(word) for word in (*within, *PROGRAM, *arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=200)


def quick_build(digits, device_file, out: Path) -> tuple[object, ...]:
    options = ("--profile", device_file, "--runtime", "onnxruntime", "--precision", "fp32", "--exhaustive")
    return "build", digits.onnx, *options, "--evaluation", digits.evaluation, "--duration", "0.05", "--out", out


@pytest.fixture
def anyone_s() -> Iterator[Path]:
    """A folder that belongs to a user without an account."""
    with tempfile.TemporaryDirectory(prefix="edgewright-test-") as name:
        os.chown(name, UID, UID)
        yield Path(name)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can run as a user of no account"
)
def test_a_user_without_an_account_and_a_home_builds(digits, elsewhere, anyone_s):
    reads = "+dac_read_search"  # the interpreter may lie in root's home
    user = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
    caps = (f"--inh-caps={reads}", f"--ambient-caps={reads}")
    for file in (digits.onnx, digits.evaluation):
        shutil.copy(file, anyone_s)
    files = dataclasses.replace(digits, onnx=anyone_s / "digits.onnx", evaluation=anyone_s / "evaluation.npz")
    (temporary := anyone_s / "temporary").mkdir(mode=0o777)
    temporary.chmod(0o777)
    done = run(
        *quick_build(files, elsewhere.name, anyone_s / "out"),
        within=(*user, *caps),
        **dict.fromkeys(("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "EDGEWRIGHT_CACHE")),
        TMPDIR=str(temporary),
    )
    assert done.returncode in (0, 3), done.stderr
    assert list(temporary.iterdir()) == []
    assert {file.name for file in (anyone_s / "out").iterdir()} == {
        f"digits-{elsewhere.name}.edge",
        "report.html",
        "report.json",
    }
    assert (anyone_s / "out" / "report.json").stat().st_uid == UID


@pytest.mark.parametrize(
    "changes",
    [{"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": None}, {"PYTHONIOENCODING": "ascii"}],
    ids=["LC_ALL=C", "a terminal of ASCII"],
)
def test_a_locale_that_knows_ascii_alone(built_bundle, digits, tmp_path, changes):
    folder = tmp_path / "modèle"
    folder.mkdir()
    model = onnx.load(digits.onnx)
    model.graph.output[0].name = model.graph.node[-1].output[0] = "数字"
    onnx.save(model, folder / "réseau.onnx")
    shutil.copy(built_bundle, folder / "ñ.edge")
    shutil.copy(built_bundle.parent / "report.json", folder / "report.json")
    gate = ("gate", folder / "report.json", "--budget", "p90<=10s")
    for arguments in (
        ("inspect", folder / "réseau.onnx"),
        ("verify", folder / "ñ.edge"),
        (*gate, "--output", f"html={folder / 'é.html'}"),
    ):
        done = run(*arguments, **changes)
        assert done.returncode == 0, (arguments, done.stderr)
    missing = run("verify", folder / "absent-é.edge", **changes)
    assert missing.returncode == 2
    assert missing.stderr.startswith("Error: There is no file '")
    assert (folder / "é.html").read_text("utf-8").rstrip().endswith("</html>")


def test_a_clock_that_jumps(one_process, cli, digits, device_file, tmp_path, monkeypatch):
    """Durations come from clocks that do not jump; what is remembered with a time from the future is forgotten."""
    jumps = itertools.cycle((0.0, 4e9, 1e9, 1.8e9, 2.5e9))
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("hwbench.measurements.peaks.is_fresh", lambda at_s: True)
    known_peaks.remember()
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: int(next(jumps) * 1e9))
    for _ in range(2):
        ran = cli(*quick_build(digits, device_file, tmp_path / "out"), "--format", "json")
        assert ran.code in (0, 3), ran.err
        (entry,) = json.loads(ran.out)["profiles"][0]["candidates"]
        samples = np.concatenate([block["samples_ns"] for block in entry["report"]["latency"]["blocks"]])
        assert samples.min() > 0
        assert samples.max() < 60e9


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_mask_of_one_processor_is_one_core():
    one = min(os.sched_getaffinity(0))
    mask = f"import os, sys; os.sched_setaffinity(0, {{{one}}}); os.execv(sys.argv[1], sys.argv[1:])"
    machine = detected((sys.executable, "-c", mask))
    assert machine["cores"] == 1


def test_a_group_s_quota_and_memory_are_the_machine_s():
    join = "import os, sys\nfor file in sys.argv[1:3]: open(file, 'w').write(str(os.getpid()))\n"
    join += "os.execv(sys.argv[3], sys.argv[3:])"
    half = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    with group("cpu", half) as cpu, group("memory", {"memory.limit_in_bytes": str(3 << 30)}) as memory:
        machine = detected((sys.executable, "-c", join, cpu, memory))
    assert machine["cpu_quota"] == 0.5
    assert machine["memory_bytes"] == 3 << 30


@contextlib.contextmanager
def group(controller: str, limits: dict[str, str]) -> Iterator[Path]:
    """Make a control group of version 1 with limits, and give the file that takes its processes."""
    folder = Path("/sys/fs/cgroup", controller, f"edgewright-test-{os.getpid()}")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error.strerror}")
    try:
        for name, value in limits.items():
            if not (folder / name).exists():
                pytest.skip(f"control groups have no {name} here")
            (folder / name).write_text(value)
        yield folder / "cgroup.procs"
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def detected(within: tuple[object, ...]) -> dict[str, object]:
    """Read the machine as reports describe it."""
    done = run("profiles", "--detect", "--format", "json", within=within)
    assert done.returncode == 0, done.stderr
    machine: dict[str, object] = json.loads(done.stdout)["machine"]
    return machine


@pytest.fixture
def read_only(tmp_path) -> Iterator[Path]:
    """A file system that is read-only, to root as well."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,ro", "edgewright-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a disk that is read-only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_outputs_in_a_read_only_folder_are_refused(cli, read_only, built_bundle, digits, device_file):
    before = contents_of(built_bundle.parent)
    for arguments in (
        quick_build(digits, device_file, read_only),
        quick_build(digits, device_file, read_only / "out"),
        ("calibrate", digits.onnx, "--calibration", digits.calibration, "--out", read_only / "table.json"),
        ("measure", built_bundle, "--out", read_only / "report.json"),
        ("gate", built_bundle, "--budget", "p90<=1s", "--output", f"json={read_only / 'gate.json'}"),
        ("gate", built_bundle, "--budget", "p90<=1s", "--history", read_only / "runs.sqlite"),
    ):
        ran = cli(*arguments)
        assert (ran.code, ran.out) == (2, ""), ran.err
        assert ran.err.count("\n") == 1, ran.err
        assert str(read_only) in ran.err
    assert contents_of(built_bundle.parent) == before


def test_a_cache_in_a_read_only_folder_costs_time_alone(
    one_process, cli, read_only, digits, elsewhere, tmp_path, monkeypatch
):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(read_only / "cache"))
    ran = cli(*quick_build(digits, elsewhere.name, tmp_path / "out"))
    assert ran.code in (0, 3), ran.err
