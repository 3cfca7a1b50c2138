"""A child whose parent is killed, and children that nobody asked to follow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child")

ROOT = str(Path(__file__).parents[3])
CHILD = """
import time
from runtimes.processes.parent_death import end_with_parent
end_with_parent()
print(flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys, time
from runtimes.processes.parent_death import child_environment
environment = child_environment() if sys.argv[1] == "asked" else None
child = subprocess.Popen([sys.executable, "-c", sys.argv[2]], env=environment, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("asked", ["asked", "not asked"])
def test_a_child_ends_with_its_parent_if_it_was_asked_to(asked: str) -> None:
    command = [sys.executable, "-c", PARENT, asked, CHILD]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ROOT}, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    try:
        if asked == "asked":
            child.wait(timeout=60)
        else:
            assert child.is_running()
    finally:
        if child.is_running():
            child.kill()


def test_a_child_that_comes_too_late_ends_at_once() -> None:
    environment = {**os.environ, "PYTHONPATH": ROOT, "EDGEWRIGHT_PARENT": "1"}  # whose child it is not
    done = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (-9, b"")
