"""`--help` and `--version`: what they show, and what they import."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
from click.testing import CliRunner

import runtimes
from hwbench.gate import gate
from hwbench.load import scenarios
from hwbench.measurements.latency import Scenario
from runtimes import plugins
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.cli import build, edgewright
from toolchain.cli._options import SCENARIOS

ORDER = ["demo", "inspect", "profiles", "build", "measure", "gate", "verify", "sign"]  # the order people use them in
COMMANDS = plugins.names("toolchain.cli")


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(edgewright, [*arguments, "--help"])
    assert result.exit_code == 0
    return result.output


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
    plan, gated = SamplingPlan(), gate.sampling_plan()
    assert get_args(Scenario) == SCENARIOS
    assert f"[default: {build.DURATION_S:g}, or {plan.max_runs:,} inferences]" in words_of("build")
    assert f"[default: {plan.duration_s:g}, or {plan.max_runs:,} inferences]" in words_of("measure")
    assert f"[default: {gated.duration_s:g}, or {gated.max_runs:,} inferences]" in words_of("gate")
    assert f"[default: {gate.MAX_TIME_S:g}" in words_of("gate")
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
