"""edgewright debug: on a MobileNet-like model, the layer that loses accuracy stands first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from torch import nn

from toolchain.models.onnx_model import load_ir

WIDTHS = (8, 16, 16, 24)
HURT = 1
"""The block in whose depthwise part one channel is a hundred times as large as the others."""


class Separable(nn.Sequential):
    """Depthwise, then pointwise, as in MobileNet."""

    def __init__(self, inputs: int, outputs: int) -> None:
        depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        norms = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        super().__init__(depthwise, norms[0], nn.ReLU(), pointwise, norms[1], nn.ReLU())


@dataclass(frozen=True)
class Files:
    """A model, samples, and the names of its Convs in order: the stem, then depthwise and pointwise of each block."""

    model: Path
    samples: Path
    convs: list[str]


@pytest.fixture(scope="module")
def mobile(tmp_path_factory: pytest.TempPathFactory) -> Files:
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 3, stride=2, padding=1), nn.ReLU6())
    blocks = [Separable(*widths) for widths in pairwise(WIDTHS)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], 10))
    model = nn.Sequential(stem, *blocks, head)
    with torch.no_grad():
        model(torch.randn(64, 3, 24, 24))  # statistics for the norms
        blocks[HURT][1].weight[0] *= 100
        blocks[HURT][3].weight[:, 0] /= 100  # what reads the channel: what the model computes stays ordinary
    folder = tmp_path_factory.mktemp("mobile")
    export = torch.onnx.export(model.eval(), (torch.randn(1, 3, 24, 24),), dynamo=True, verbose=False)
    assert export is not None
    export.save(str(folder / "mobile.onnx"))
    (name,) = (str(value.name) for value in load_ir(folder / "mobile.onnx").graph.inputs)
    rng = np.random.default_rng(0)
    np.savez(folder / "x.npz", **{name: rng.standard_normal((16, 3, 24, 24)).astype(np.float32)})
    convs = [str(node.name) for node in load_ir(folder / "mobile.onnx").graph if node.op_type == "Conv"]
    return Files(folder / "mobile.onnx", folder / "x.npz", convs)


def errors(cli, files, *options):
    ran = cli("debug", files.model, "--calibration", files.samples, "--profile", "rpi5", "--format", "json", *options)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_the_layer_that_hurts_stands_first_and_by_far(cli, mobile):
    found = errors(cli, mobile, "--correction", "none")
    assert {layer["node"] for layer in found if layer["op"] == "Conv"} == set(mobile.convs)
    assert found[0]["node"] == mobile.convs[2 + 2 * HURT]  # the pointwise Conv that reads the wide channel
    assert found[0]["own"] < found[1]["own"] - 10


def test_what_a_correction_wins_shows_in_the_layer_and_behind_it(cli, mobile):
    plain, better = (
        {layer["node"]: layer for layer in errors(cli, mobile, "--correction", name)}
        for name in ("none", "equalization")
    )
    hurt, last = mobile.convs[2 + 2 * HURT], mobile.convs[-1]
    assert better[hurt]["own"] > plain[hurt]["own"] + 10
    assert plain[hurt]["total"] < plain[hurt]["own"] + 1  # what a layer adds is in what it writes
    assert better[last]["total"] > plain[last]["total"] + 3


def test_the_table_is_as_long_as_asked_and_says_what_was_corrected(cli, mobile):
    ran = cli("debug", mobile.model, "--calibration", mobile.samples, "--profile", "rpi5", "--most", "2")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].split() == ["layer", "operator", "own", "dB", "total", "dB"]
    assert len(lines) == 4
    assert lines[-1].startswith("and 6 more layers")
    assert "operators that each changed: tail" in ran.err


def test_a_layer_without_any_error_is_valid_json(cli, tmp_path):
    body = "w = Constant<value = float[2,2] {1, -1, 0.5, 2}>() y = MatMul(x, w)"
    model = tiny_models.double(tmp_path / "net.onnx", inputs="float[N,2] x", body=body)
    np.savez(tmp_path / "zeros.npz", x=np.zeros((4, 2), np.float32))
    ran = cli("debug", model, "--calibration", tmp_path / "zeros.npz", "--profile", "rpi5", "--format", "json")
    assert ran.code == 0, ran.err
    assert "Infinity" not in ran.out
    (layer,) = json.loads(ran.out)
    assert (layer["own"], layer["total"]) == (None, None)
