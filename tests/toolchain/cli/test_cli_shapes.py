"""--shape, the sizes that a dynamic model is timed at, and budgets that name one."""

from __future__ import annotations

import json

import pytest

from hwbench.results.opened_bundle import open_bundle

pytestmark = pytest.mark.usefixtures("one_process")

QUICK = ("--duration", "0.05")


def shapes(text):
    blocks = json.loads(text)["profiles"][0]["candidates"][0]["report"]["latency"]["blocks"]
    return [block["shapes"] for block in blocks]


def test_a_measurement_says_at_which_shape_it_was_made_and_may_choose_it(cli, digits, tmp_path):
    own = cli("measure", digits.onnx, *QUICK, "--out", tmp_path / "own.json")
    assert own.code == 0
    assert "image=1x1x8x8" in own.out
    chosen = cli("measure", digits.onnx, *QUICK, "--shape", "image=4x1x8x8", "--format", "json")
    assert all(each == [{"image": [4, 1, 8, 8]}] for each in shapes(chosen.out))
    page = cli("measure", digits.onnx, *QUICK, "--shape", "image=4x1x8x8", "--format", "html")
    assert "image=4x1x8x8" in page.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("measure", "{onnx}", "--shape", "image=4x1x8x9"), "does not fit the model's input image=float32["),
        (("measure", "{onnx}", "--shape", "image"), "write an input and its sizes"),
        (("measure", "{onnx}", "--shape", "image=4x1x8x8", "--scenario", "offline"), "leave out --scenario"),
        (("gate", "{report}", "--shape", "image=4x1x8x8", "--budget", "p50<=1s"), "--shape is for a bundle"),
        (("build", "{onnx}", "--budget", "p50@N=4<=1s"), "a build times its samples as they are"),
    ],
)
def test_a_shape_that_cannot_be_timed_is_refused(cli, digits, built, words, told):
    ran = cli(*(word.format(onnx=digits.onnx, report=built / "report.json") for word in words))
    assert (ran.code, told in ran.err) == (2, True), ran.err


def test_a_gate_takes_a_budget_at_a_size(cli, built_bundle):
    batch = open_bundle(built_bundle).manifest.artifact.inputs[0].shape[0]
    ran = cli(
        "gate", built_bundle, *QUICK, "--max-time", "2s", "--budget", "size<=1GB", "--budget", f"p50@{batch}=4<=0.01us"
    )
    assert ran.code == 1
    assert f"p50@{batch}=4" in ran.out
