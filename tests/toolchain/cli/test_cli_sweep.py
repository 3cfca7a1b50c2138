"""`sweep`: what it writes and prints, how it goes on where one ended, and what each mistake is answered with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from hwbench.results import profile_results
from toolchain.cli import build


@pytest.fixture
def model(tiny_onnx, images, tmp_path):
    """An edgewright.toml with a model and samples of its own."""
    shutil.copy(tiny_onnx, tmp_path / "tiny.onnx")
    np.savez(tmp_path / "images.npz", image=images)
    (tmp_path / "tiny.toml").write_text('source = "tiny.onnx"\ncalibration = "images.npz"\nname = "net"\n')
    return tmp_path / "tiny.toml"


def test_a_sweep_builds_its_cells_and_the_next_one_goes_on_from_there(cli, model, elsewhere, temp_folder, tmp_path):
    out, price = tmp_path / "out", f"{elsewhere.name}=0.02"
    asked = ["sweep", model, "--profile", elsewhere.name, "--runtime", "onnxruntime", "--out", out, "--price", price]
    ran = cli(*asked, "--precision", "fp32,bf16")
    assert ran.code == 0, ran.err
    assert f"1 of 2: net for {elsewhere.name}, fp32: built on this machine" in ran.err
    assert "There is nothing to try" in ran.out
    assert {file.name for file in out.iterdir()} == {"cells", "sweep.json", "sweep.md", "sweep.html"}
    assert [cell.name for cell in (out / "cells").iterdir()] == [f"net-{elsewhere.name}-fp32"]
    cell = out / "cells" / f"net-{elsewhere.name}-fp32"
    assert (cell / f"net-{elsewhere.name}.edge").exists()
    (result,) = profile_results.from_json((cell / "report.json").read_bytes(), "report.json").profiles
    built, not_built = json.loads((out / "sweep.json").read_text())["rows"]
    assert (built["status"], built["outcome"], not_built["status"]) == ("built", "pass", "not built")
    assert built["figures"]["size"] == result.selected.report.artifact.size_bytes
    assert "cost" not in built  # no device, no latency, no cost

    before = (cell / "cell.json").stat().st_mtime_ns
    again = cli(*asked, "--precision", "fp32", "--format", "json")
    assert again.code == 0, again.err
    assert "1 of 1 cells were built before." in again.err
    assert (cell / "cell.json").stat().st_mtime_ns == before
    assert [row["precision"] for row in json.loads(again.out)["rows"]] == ["fp32"]


def test_an_interrupt_ends_the_builds_and_says_how_to_go_on(model, elsewhere, tmp_path):
    out = tmp_path / "out"
    arguments = ["sweep", model, "--profile", elsewhere.name, "--precision", "fp32", "--out", out]
    code = "import sys; from toolchain.cli import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        end_s = time.monotonic() + 60
        while not (children := psutil.Process(process.pid).children()):
            assert time.monotonic() < end_s and process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        stdout, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, stdout) == (130, ""), stderr
    assert stderr.splitlines()[-1].startswith("Interrupted; ")
    assert "Traceback" not in stderr
    assert json.loads((out / "sweep.json").read_text())["rows"][0]["status"] == "not run"
    assert list((out / "cells").iterdir()) == []
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--profile", "rpi6"], "Unknown profile 'rpi6'"),
        (["--precision", "int5"], "int5"),
        (["--price", "rpi5"], "'rpi5' is no price per hour; write it like rpi5=0.02."),
        (["--price", "rpi5=-1"], "'rpi5=-1' is no price per hour"),
        (["--price", "rpi9=1"], "the sweep has no device 'rpi9'; it has"),
        (["--budget", "p90<=+5%"], "compares with a baseline"),
        (["--target", "ssh://board"], "'ssh://board' is no address of a Dask scheduler"),
        (["--target", "dask://192.0.2.1"], "is not secured"),
        (["--target", "dask://localhost/rpi5"], "names a kind of board, and a sweep takes all"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_before_anything_is_built(cli, model, tmp_path, options, words):
    if "--target" in options:
        pytest.importorskip("distributed", reason="the extra dask is not installed")
    ran = cli("sweep", model, "--out", tmp_path / "out", *options)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_a_model_that_comes_twice_is_refused(cli, model, tmp_path):
    ran = cli("sweep", model, model, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "give each model a name of its own" in ran.err


def test_options_of_build_are_those_of_build(cli):
    from toolchain.cli import sweep

    shared = {param.name: param for param in build.command.params}
    assert set(sweep._OF_BUILD) <= set(shared)
    assert all(param is shared[param.name] for param in sweep.command.params if param.name in sweep._OF_BUILD)
