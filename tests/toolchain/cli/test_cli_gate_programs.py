"""edgewright gate --command: any program gets a bundle's verdicts."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

PRINTS = "import sys\nfor k in range(60): print('{\"us\": %f}' % (float(sys.argv[1]) + k / 100))"


def command(us: float) -> str:
    return shlex.join([sys.executable, "-c", PRINTS, str(us)])


@pytest.fixture(autouse=True)
def own_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "memory"))


def test_a_program_is_judged_without_a_bundle(cli, tmp_path):
    ran = cli(
        "gate", "--command", command(1000), "--budget", "p90<=500ms", "--budget", "size<=1GB",
        "--output", f"json={tmp_path}/report.json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    (profile,) = json.loads((tmp_path / "report.json").read_text())["profiles"]
    assert profile["model"].startswith("python")
    assert len(profile["candidates"][0]["report"]["latency"]["blocks"]) >= 6


@pytest.mark.parametrize(("us", "code"), [(1010, 0), (5000, 1)])
def test_two_programs_are_compared_in_the_same_rounds(cli, us, code, monkeypatch):
    monkeypatch.setattr("hwbench.targets.command._reap", reaped_without_waiting)
    ran = cli("gate", "--command", command(us), "--baseline-command", command(1000), "--budget", "p90<=+5%")
    assert ran.code == code, ran.out + ran.err


def reaped_without_waiting(process):
    process.wait()
    return 0, 1


def test_a_bundles_samples_are_the_programs_inputs(cli, built_bundle):
    reads = "import numpy, sys\nx = numpy.load(sys.argv[1])\nfor k in range(60): print('{\"ms\": %d}' % len(x.files))"
    words = shlex.join([sys.executable, "-c", reads, "{inputs}"])
    ran = cli("gate", built_bundle, "--command", words, "--budget", "p50<=1s")
    assert ran.code in (0, 3), ran.err  # a bundle of a device that is not here is not timed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["CANDIDATE"]),
        (["--baseline-command", "x"], ["--command"]),
        (["--command", "./no-such-program"], ["./no-such-program"]),
        (["--command", "echo 1.5"], ["Line 1"]),
        (["--command", "false"], ["exit code 1"]),
        (["--command", "true {inputs}"], ["{inputs}"]),
        (["--command", "true", "--baseline-python", "python"], ["--baseline-python"]),
        (["--command", "true", "--evaluation", __file__], ["--evaluation", "CANDIDATE"]),
    ],
)
def test_what_is_wrong_is_one_sentence(refuses, arguments, words):
    refuses("gate", *arguments, "--budget", "p90<=1s", words=tuple(words))


def test_a_relative_budget_needs_another_program(refuses):
    refuses("gate", "--command", "true", "--budget", "p90<=+5%", words=("p90<=+5%", "baseline"))
