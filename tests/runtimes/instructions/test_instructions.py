"""Instructions are counted, and a process that nothing counts is refused in one sentence."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwbench.machine.instruction_counters import Counting, find_counting
from hwbench.targets.local import LocalTarget
from runtimes import npz
from runtimes.errors import BackendError, UnsupportedError, UsageError
from runtimes.instructions.callgrind import Callgrind
from runtimes.instructions.perf_instructions import PerfCounter


@pytest.fixture
def counter():
    try:
        made = PerfCounter()
    except UnsupportedError as error:
        pytest.skip(str(error))
    yield made
    made.close()


def test_more_work_takes_more_instructions(counter):
    def work(rounds: int) -> int:
        before = counter.read()
        sum(range(rounds))
        return counter.read() - before

    few, many = work(1_000), work(1_000_000)
    assert 0 < few < many / 100


def test_outside_of_callgrind_its_requests_do_nothing(tmp_path: Path):
    try:
        counter = Callgrind(tmp_path / "out")
    except UnsupportedError as error:
        pytest.skip(str(error))
    counter.mark()
    with pytest.raises(UnsupportedError, match="does not run under callgrind"):
        counter.counts()


def test_without_any_means_the_user_is_told_what_to_install(monkeypatch):
    def closed(self):
        raise UnsupportedError("perf_event_open: No such file or directory")

    monkeypatch.setattr("hwbench.machine.instruction_counters.PerfCounter.__init__", closed)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(UsageError, match="apt install valgrind"):
        find_counting()


def test_a_process_says_why_it_cannot_count(bundle: Path, tmp_path: Path, images):
    npz.write(tmp_path / "x.npz", {"image": images})
    try:
        PerfCounter().close()
        pytest.skip("the processor's counters can be read here")
    except UnsupportedError:
        pass
    with pytest.raises(BackendError, match="perf_event_open"):
        LocalTarget().count_instructions(bundle, tmp_path / "x.npz", Counting("perf"))


_LOOPS = """
import pathlib, sys
from runtimes.instructions.callgrind import Callgrind
counter = Callgrind(pathlib.Path(sys.argv[1]))
for rounds in (1_000, 1_000, 2_000, 2_000):
    counter.mark()
    sum(range(rounds))
counter.mark()
print(*counter.counts()[1:])
"""


def test_valgrind_counts_the_same_work_the_same(tmp_path: Path):
    program = shutil.which("valgrind")
    if program is None or platform.machine() != "x86_64":
        pytest.skip("valgrind is not installed, or this is no x86-64")
    dumps = tmp_path / "out"
    command = [*Counting("valgrind", Path(program)).command(dumps), sys.executable, "-c", _LOOPS, str(dumps)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONHASHSEED": "0"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    _, once, twice, again = map(int, ran.stdout.split())
    assert twice == pytest.approx(again, rel=0.01)
    assert 1.5 * once < twice
