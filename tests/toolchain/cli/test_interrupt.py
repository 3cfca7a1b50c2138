"""An end in the middle, by Ctrl-C, a signal or a kill: no traceback, no partial output, no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from leftovers import contents_of, leftovers

from runtimes.processes.owned_folder import temporary_files


# A terminal interrupts the whole group, which is the process alone while a factory runs.
@pytest.mark.parametrize(
    ("moment", "whole_group"),
    [("factory", False), ("measuring", True), ("measuring", False)],
    ids=["factory", "measuring-terminal", "measuring-process"],
)
def test_an_interrupt_leaves_nothing_behind(out, digits, device_file, tmp_path, moment, whole_group):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = contents_of(out)
    marker = tmp_path / "started"
    (tmp_path / "slow.py").write_text(
        f"import pathlib, time\ndef make():\n    pathlib.Path({str(marker)!r}).touch()\n    time.sleep(60)\n"
    )
    source = f"{tmp_path / 'slow.py'}:make" if moment == "factory" else str(digits.onnx)
    process = start_build(source, out, digits, device_file, temporary)
    try:
        started = marker.exists if moment == "factory" else lambda: is_measuring(process)
        wait_until(lambda: started() or process.poll() is not None)
        children = psutil.Process(process.pid).children(recursive=True)
        if whole_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1] == "Interrupted; nothing was left half-written."
    assert "Traceback" not in stderr
    assert contents_of(out) == before
    assert leftovers(temporary) == []
    assert moment == "factory" or len(children) == 1
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.usefixtures("hangup_ends")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_a_signal_leaves_no_process_and_the_next_run_no_files(out, digits, device_file, tmp_path, number):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = contents_of(out)
    process = start_build(str(digits.onnx), out, digits, device_file, temporary)
    try:
        wait_until(lambda: is_measuring(process) or process.poll() is not None)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert len(children) == 1
    psutil.wait_procs(children, timeout=60)
    assert not any(child.is_running() for child in children)
    assert contents_of(out) == before
    if number == signal.SIGKILL:
        assert process.returncode == -number
        (left,) = leftovers(temporary)
        os.utime(temporary / left, (0, 0))  # a folder that is a minute old
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tempfile.tempdir", str(temporary))
            with temporary_files():
                pass
    else:
        assert process.returncode == 128 + number
    assert leftovers(temporary) == []


def start_build(source, out, digits, device_file, temporary):
    command = [
        *(sys.executable, "-c", "from toolchain.cli import main; main()", "build", source, "--duration", "15"),
        *("--input", "image=float32[N,1,8,8]", "--profile", str(device_file), "--runtime", "onnxruntime"),
        *("--precision", "fp32", "--evaluation", str(digits.evaluation), "--out", str(out)),
    ]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)


def is_measuring(process: subprocess.Popen[str]) -> bool:
    try:
        children = psutil.Process(process.pid).children()
        return any("sample" in child.cmdline() for child in children)
    except psutil.Error:
        return False


def wait_until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
