"""`build` on the command line: its output, its exit codes, and the options that it takes from a file."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes.errors import UsageError

QUICK = ("--duration", "0.05")

pytestmark = pytest.mark.usefixtures("one_process")  # but `built`, whose models run in processes of their own


def test_build_prints_the_table_the_bundle_and_the_report_and_nothing_else(
    cli, digits, device_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ran = cli(
        *("build", f"{digits.onnx}", "--profile", device_file, "--runtime", "onnxruntime", "--precision", "fp32"),
        *("--evaluation", digits.evaluation, "--budget", "accuracy_drop<=0.05", *QUICK),
    )
    assert (ran.code, "Warning" in ran.err, ran.err.count("bench: screen")) == (0, False, 1)
    assert ran.out.startswith("digits for bench: pass\n")
    assert ran.out.splitlines()[-2:] == ["Bundle: out/digits-bench.edge", "Report: out/report.html"]
    assert sorted(file.name for file in Path("out").iterdir()) == ["digits-bench.edge", "report.html", "report.json"]


def test_build_without_a_profile_takes_the_machines_own(cli, digits, tmp_path):
    try:
        here = device_profiles.detect(this_machine())
    except UsageError as none:
        pytest.skip(str(none))
    ran = cli(
        *("build", digits.onnx, "--evaluation", digits.evaluation, "--budget", "accuracy_drop<=0.05", *QUICK),
        *("--runtime", "onnxruntime", "--precision", "fp32", "--threads", "1", "--out", tmp_path, "--format", "json"),
    )
    assert ran.code == 0
    assert json.loads(ran.out)["profiles"][0]["profile"] == here.name


def test_build_says_by_its_exit_code_that_a_budget_is_broken(cli, digits, elsewhere, tmp_path):
    ran = cli(
        *("build", digits.onnx, "--profile", elsewhere.name, "--runtime", "onnxruntime", "--precision", "fp32"),
        *("--evaluation", digits.evaluation, "--budget", "size<=1kB", "--out", tmp_path),
    )
    assert ran.code == 1
    assert ran.out.startswith(f"digits for {elsewhere.name}: fail")
    assert "Bundle:" not in ran.out.splitlines()[-2]


def test_build_of_a_device_that_is_not_here_is_inconclusive(cli, digits, elsewhere, tmp_path):
    ran = cli(
        *("build", digits.onnx, "--profile", elsewhere.name, "--runtime", "onnxruntime", "--precision", "fp32"),
        *("--evaluation", digits.evaluation, "--budget", "p90<=1s", "--budget", "accuracy_drop<=0.05"),
        *("--out", tmp_path, "--name", "renamed"),
    )
    assert ran.code == 3
    assert ran.out.startswith(f"renamed for {elsewhere.name}: inconclusive")
    assert f"Bundle: {tmp_path / f'renamed-{elsewhere.name}.edge'}" in ran.out
    assert "were not measured" in ran.out


def test_build_reads_its_options_from_a_file_and_the_command_line_goes_before(cli, digits, elsewhere, tmp_path):
    shutil.copy(digits.onnx, tmp_path / "net.onnx")
    shutil.copy(digits.evaluation, tmp_path / "e.npz")
    (tmp_path / "edgewright.toml").write_text(
        'source = "net.onnx"\nevaluation = "e.npz"\nprofile = ["nonsense"]\nruntime = ["onnxruntime"]\n'
        'precision = ["fp32"]\nbudget = ["accuracy>=0.5"]\nout = "results"\n'
    )
    ran = cli("build", tmp_path / "edgewright.toml", "--profile", elsewhere.name, "--format", "json")
    assert ran.code == 0
    (found,) = json.loads(ran.out)["profiles"]
    assert (found["model"], found["profile"]) == ("net", elsewhere.name)
    assert [limit["text"] for limit in found["budgets"]] == ["accuracy>=0.5"]
    assert (tmp_path / "results" / f"net-{elsewhere.name}.edge").is_file()


def test_build_from_a_factory_in_the_current_folder(cli, elsewhere, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("small_net.py").write_text(
        "import torch\ndef make():\n    print('building')\n    torch.manual_seed(0)\n    return torch.nn.Linear(4, 2)\n"
    )
    ran = cli(
        *("build", "small_net:make", "--input", "x=float32[N,4]", "--profile", elsewhere.name),
        *("--runtime", "onnxruntime", "--precision", "fp32", "--budget", "accuracy>=0.5"),
    )
    assert (ran.code, ran.err.splitlines()[0]) == (0, "Opening small_net:make")
    assert "building" not in ran.out
    assert Path("out", f"small_net-{elsewhere.name}.edge").is_file()
