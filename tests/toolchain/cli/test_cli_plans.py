"""`edgewright build --plan`, which needs no TensorRT, and the document that shows it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import tiny_models

from hwbench.machine import device_profiles
from runtimes.bundles.build_plan import BuildPlan
from runtimes.codec import decode

DOCUMENT = Path(__file__).parents[3] / "docs" / "tensorrt.md"


def test_the_document_shows_what_the_command_prints(cli, tmp_path, monkeypatch):
    model = tiny_models.double(tmp_path / "model.onnx", "float[N,3,224,224] image", "y = Relu(image)")
    monkeypatch.chdir(model.parent)
    shown = r"<!-- plans.*?```console\n\$ edgewright (.*?[^\\])\n(.*?)```\n<!-- /plans -->"
    section = re.search(shown, DOCUMENT.read_text(), re.DOTALL)
    assert section is not None
    ran = cli(*shlex.split(section[1].replace("\\\n", "")))
    assert (ran.code, ran.err) == (0, "")
    assert section[2] == ran.out, "put what the command prints now into docs/tensorrt.md"
    named = set(re.findall(r"--profile (\S+)", section[1]))
    assert named == {name for name in device_profiles.names() if device_profiles.load(name).tensorrt}


def test_plans_for_programs(cli, tmp_path):
    model = tiny_models.conv(tmp_path / "m.onnx")
    precisions = ("--precision", "int8", "--precision", "bf16")
    ran = cli("build", model, "--plan", "--profile", "t4", *precisions, "--format", "json")
    planned, refused = json.loads(ran.out)
    assert ran.code == 0
    assert decode(BuildPlan, planned["plan"], "plan").optimization_profiles[0]["image"].max == (8, 3, 8, 8)
    assert planned["trtexec"].startswith("trtexec --onnx=model.onnx")
    assert (refused["precision"], "plan" in refused) == ("bf16", False)
    assert "7.5 has no bf16" in refused["refusal"]


def test_a_device_that_can_have_no_engine(cli, tmp_path):
    model = tiny_models.conv(tmp_path / "m.onnx")
    ran = cli("build", model, "--plan", "--profile", "t4", "--precision", "bf16")
    assert (ran.code, ran.out) == (
        2,
        "t4 on tensorrt\n  bf16: refused. Compute capability 7.5 has no bf16 arithmetic; 8.0 is the first with it.\n",
    )
    ran = cli("build", model, "--plan", "--profile", "rpi5")
    assert (ran.code, ran.out) == (2, "")
    assert "No engines are built for rpi5: it runs onnxruntime, openvino, and only tensorrt and" in ran.err


def test_what_cannot_be_asked_for(cli, tmp_path):
    model = tiny_models.conv(tmp_path / "m.onnx")
    plan = ("build", model, "--plan", "--profile", "l4")
    assert "DIM=MIN:OPT:MAX" in cli(*plan, "--range", "N=one").err
    assert "'M', which no input has" in cli(*plan, "--range", "M=1").err
    assert "--plan prints text or json" in cli(*plan, "--format", "csv").err
    assert "Unknown precision 'fp5'" in cli(*plan, "--precision", "fp5").err


def test_planning_imports_no_tensorrt(tmp_path):
    model = tiny_models.conv(tmp_path / "m.onnx")
    program = (
        "import sys\nfrom toolchain.cli import _run\n"
        f"_run(['build', {str(model)!r}, '--plan', '--profile', 'rtx-5090'])\n"
        "print([name for name in sys.modules if name.startswith(('tensorrt', 'cuda', 'pycuda'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def test_a_runtime_without_engines(cli, tmp_path):
    ran = cli("build", tiny_models.conv(tmp_path / "m.onnx"), "--plan", "--profile", "l4", "--runtime", "onnxruntime")
    assert (ran.code, ran.out) == (2, "")
    assert "No engines are built for l4: --runtime names onnxruntime" in ran.err
