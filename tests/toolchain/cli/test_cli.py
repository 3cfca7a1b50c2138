"""The command line: what it shows, what it prints where, and what its exit codes say."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import onnx
import pytest
import tiny_models
from click.testing import CliRunner

import runtimes
from hwbench.gate import sequential_gate
from hwbench.load import scenarios
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.measurements.latency import Scenario
from hwbench.results import profile_results
from runtimes import plugins
from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import UNLIMITED_RUNS, SamplingPlan
from toolchain.cli import build, edgewright
from toolchain.cli._options import SCENARIOS, sampling_plan
from toolchain.packaging.pack import pack

ORDER = ["demo", "inspect", "profiles", "build", "measure", "gate", "verify", "sign"]  # the order people use them in
COMMANDS = plugins.names("toolchain.cli")
QUICK = ("--duration", "0.05")

pytestmark = pytest.mark.usefixtures("one_process")  # but `built`, whose models run in processes of their own


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(edgewright, [*arguments, "--help"])
    assert result.exit_code == 0
    return result.output


# Help


def test_lists_every_command_in_the_order_people_use_them():
    listed = [line.split()[0] for line in help_of().partition("Commands:")[2].splitlines() if line[2:3].strip()]
    assert [name for name in listed if name in ORDER] == ORDER
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_and_gives_an_example(command):
    text = help_of(command)
    summary = text.splitlines()[2].strip()
    assert summary[0].isupper()
    assert f"\n  edgewright {command}" in text
    assert summary.split("  ")[0][:30] in " ".join(help_of().split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_is(command):
    context = edgewright.make_context("edgewright", [command, "--help"], resilient_parsing=True)
    for option in edgewright.get_command(context, command).params:
        if option.param_type_name == "option" and option.name != "form":
            assert option.help, option.name
            assert option.help.endswith((".", "]")), option.name


HEAVY = {"torch", "onnx", "onnx_ir", "onnxruntime", "openvino", "scipy", "sklearn", "matplotlib", "ml_dtypes", "jinja2"}
NOTHING = HEAVY | {"numpy", "rich", "psutil"}


def imported_by(*arguments: str) -> set[str]:
    """The packages that a command line imports, in a process of its own."""
    code = (
        "import sys\nfrom toolchain.cli import main\n"
        f"try: main({list(arguments)})\nexcept SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_imports_nothing_heavy(command):
    light = {"psutil"} if command == "profiles" else set()  # which reads the devices' files
    found = imported_by(*filter(None, [command]), "--help")
    assert "click" in found
    assert found & NOTHING <= light


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["profiles"],
        ["profiles", "--detect"],
        ["build", "nothing.onnx"],
        ["build", "net:make", "--precision", "int5"],
        ["build", "net:make", "--profile", "rpi5", "--runtime", "tflite"],
        ["build", "net:make", "--profile", "rpi6"],
        ["build", "net:make", "--budget", "p42<=1ms"],
        ["debug", "nothing.onnx", "--calibration", __file__],
        *([name, "nothing.edge"] for name in ("inspect", "measure", "verify")),
        ["gate", "nothing.edge", "--budget", "p90<=1ms"],
    ],
    ids=" ".join,
)
def test_what_is_light_or_wrong_imports_nothing_heavy(arguments):
    assert imported_by(*arguments).isdisjoint(HEAVY)


def test_help_tells_the_figures_of_the_code_that_it_does_not_import():
    plan, gated = SamplingPlan(), sequential_gate.sampling_plan()
    assert get_args(Scenario) == SCENARIOS
    assert f"[default: {build.DURATION_S:g}, or {plan.max_runs:,} inferences]" in words_of("build")
    assert f"[default: {plan.duration_s:g}, or {plan.max_runs:,} inferences]" in words_of("measure")
    assert f"[default: {gated.duration_s:g}, or {gated.max_runs:,} inferences]" in words_of("gate")
    assert f"[default: {sequential_gate.MAX_TIME_S:g}" in words_of("gate")
    assert f"inference of offline. [default: {scenarios.BATCH}]" in words_of("measure")


def words_of(command: str) -> str:
    return " ".join(help_of(command).split())


def test_no_command_at_all_shows_the_help_as_an_error(cli):
    ran = cli()
    assert (ran.code, ran.out) == (2, "")
    assert "Commands:" in ran.err


def test_says_its_version(cli):
    ran = cli("--version")
    assert (ran.code, ran.out) == (0, f"edgewright, version {runtimes.__version__}\n")


# Build


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


# Inspect


def test_inspect_describes_a_model(cli, digits):
    ran = cli("inspect", digits.onnx)
    assert (ran.code, ran.err) == (0, "")
    assert "1,8,8]" in ran.out
    assert "operators: " in ran.out
    assert "int8 would compute: " in ran.out


def test_inspect_describes_a_bundle(cli, built_bundle):
    ran = cli("inspect", built_bundle, "--format", "json")
    found = json.loads(ran.out)
    assert ran.code == 0
    assert (found["model"], found["profile"], found["runtime"]) == ("digits", "bench", "onnxruntime")
    assert found["golden_samples"] == 4
    assert found["inputs"][0]["name"] == "image"
    text = cli("inspect", built_bundle)
    assert "profile: bench" in text.out
    assert "opset: " in text.out


def test_inspect_refuses_names_that_give_orders(cli, tmp_path):
    model = onnx.load(tiny_models.conv(tmp_path / "m.onnx"))
    model.graph.node[0].input[0] = model.graph.input[0].name = "\x1b[2Jclear"
    onnx.save(model, tmp_path / "m.onnx")
    ran = cli("inspect", tmp_path / "m.onnx")
    assert (ran.code, ran.out) == (2, "")
    assert r"has a tensor that holds the text '\x1b[2Jclear'" in ran.err
    assert "\x1b" not in ran.err


def test_inspect_refuses_a_bundle_whose_report_was_changed(cli, built_bundle, tmp_path):
    content = bytearray(built_bundle.read_bytes())
    with zipfile.ZipFile(built_bundle) as archive:
        content[archive.getinfo("report.json").header_offset + 100] ^= 1
    changed = tmp_path / "changed.edge"
    changed.write_bytes(content)
    ran = cli("inspect", changed)
    assert ran.code == 2
    assert "the bytes of 'report.json' are not those that were packed" in ran.err


def test_inspect_says_why_int8_does_not_apply(cli, tmp_path):
    assert "int8: the model is quantized already" in cli("inspect", tiny_models.quantized(tmp_path / "m.onnx")).out


# Measure


def test_measure_takes_a_bundle(cli, built_bundle, tmp_path):
    ran = cli("measure", built_bundle, *QUICK, "--out", tmp_path / "again.json", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    results = profile_results.from_json(ran.out, "stdout")
    entry = results.profiles[0].selected
    assert len(entry.report.latency.blocks) == 6
    assert entry.report.accuracy.metric == "top1"
    assert profile_results.from_json((tmp_path / "again.json").read_text(), "again.json") == results
    assert cli("gate", tmp_path / "again.json", "--budget", "p90<=1s").code == 0


@pytest.mark.parametrize(
    ("command", "default"), [("measure", "1, or 2,500 inferences"), ("gate", "0.1, or 1,000 inferences")]
)
def test_a_duration_is_at_least_what_was_asked_for(cli, command, default):
    assert f"[default: {default}]" in " ".join(cli(command, "--help").out.split())
    assert (sampling_plan(0.2).duration_s, sampling_plan(0.2).max_runs) == (0.2, UNLIMITED_RUNS)


def test_peaks_come_first_so_that_an_interrupt_loses_no_measurement(cli, built_bundle, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def measured(*_: object) -> None:
        raise AssertionError("it measured first")

    monkeypatch.setattr("toolchain.pipeline.machine_peaks.known_or_measured", interrupted)
    monkeypatch.setattr("hwbench.targets.local.LocalTarget.sample", measured)
    assert cli("measure", built_bundle, *QUICK).code == 130


def test_measure_takes_a_bare_model(cli, digits, device_file, temp_folder):
    ran = cli(
        *("measure", digits.onnx, "--profile", device_file, "--threads", "2", *QUICK, "--format", "json"),
        *("--evaluation", digits.evaluation, "--metric", "top5"),
    )
    assert (ran.code, ran.err) == (0, "")
    report = profile_results.from_json(ran.out, "stdout").profiles[0].selected.report
    assert report.latency.threads == 2
    assert report.accuracy.metric == "top5"
    assert report.accuracy.value > 0.95


# Verify


def test_verify_accepts_what_was_packed(cli, built_bundle):
    ran = cli("verify", built_bundle)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0].startswith("digits for bench: ")
    assert "all digests match" in ran.out
    assert "\nok: " in ran.out


def test_verify_refuses_what_was_changed(cli, built_bundle, tmp_path):
    changed = tmp_path / "changed.edge"
    with zipfile.ZipFile(built_bundle) as source, zipfile.ZipFile(changed, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            target.writestr(info, data[:-1] + b"\x00" if info.filename == "artifact/model.onnx" else data)
    ran = cli("verify", changed)
    assert (ran.code, ran.out) == (2, "")
    assert "'artifact/model.onnx' are not those that were packed" in ran.err


def test_verify_says_that_a_machine_computes_something_else(cli, contents, device, tmp_path):
    wrong = {name: array * 1.1 for name, array in contents.golden_outputs.items()}
    pack(dataclasses.replace(contents, profile=device, golden_outputs=wrong), tmp_path / "wrong.edge")
    ran = cli("verify", tmp_path / "wrong.edge")
    assert ran.code == 1
    assert "\nMISMATCH: scores differs by 9.09e-02 (tolerance 1e-03)" in ran.out


def test_verify_refuses_another_devices_bundle_unless_told_otherwise(cli, contents, elsewhere, tmp_path):
    pack(dataclasses.replace(contents, profile=elsewhere), tmp_path / "there.edge")
    ran = cli("verify", tmp_path / "there.edge")
    assert (ran.code, ran.out) == (2, "")
    assert f"Profile {elsewhere.name} is for {elsewhere.arch}, but this machine is" in ran.err
    assert cli("verify", tmp_path / "there.edge", "--any-machine").code == 0
