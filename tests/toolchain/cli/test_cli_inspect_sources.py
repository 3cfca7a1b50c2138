"""`inspect` on sources that are exported first: it shows the model, or says what `build` says."""

from __future__ import annotations

import onnx
import pytest
import torch
from onnx import parser

FACTORY = """
import torch
def load(): return torch.nn.Linear(3, 4)
"""


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layer = torch.nn.Linear(3, 4)
    torch.save(layer.state_dict(), "state.pt")
    torch.save(layer, "whole.pth")
    (tmp_path / "factory.py").write_text(FACTORY)


@pytest.mark.usefixtures("sources")
def test_a_factory_is_exported_and_shown(cli):
    done = cli("inspect", "factory.py:load", "--input", "x=float32[N,3]")
    assert done.code == 0
    assert "input: x=float32[N,3]" in done.out
    assert "int8 would compute: Gemm 1" in done.out


@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("state.pt", "A state_dict or a pickled module holds no program"),
        ("whole.pth", "A state_dict or a pickled module holds no program"),
        ("factory.py:load", "needs its inputs described; add --input"),
        ("factory.py:nothing", "'factory.py' has no function 'nothing'"),
        ("missing.py:load", "There is no file 'missing.py'"),
        ("missing.onnx", "There is no file 'missing.onnx'"),
    ],
)
def test_what_build_refuses_is_refused_in_the_same_words(cli, source, words):
    inspected, built = cli("inspect", source), cli("build", source, "--out", "out")
    assert (inspected.code, built.code) == (2, 2)
    assert words in inspected.err
    assert inspected.err.splitlines()[-1] == built.err.splitlines()[-1]


DOUBLE = """
<ir_version: 8, opset_import: ["ai.onnx" : 17]>
m (double[N,2] x) => (double[N,3] y) <double[2,3] w = {1, 2, 3, 4, 5, 6}> { y = MatMul(x, w) }
"""


def test_an_onnx_file_is_shown_as_build_takes_it(cli, tmp_path):
    onnx.save(parser.parse_model(DOUBLE), tmp_path / "double.onnx")
    shown = cli("inspect", tmp_path / "double.onnx")
    assert shown.code == 0
    assert "converted to float32" in shown.err
    assert "weights: float 6\n" in shown.out
    assert "opset: 17\n" in shown.out
    assert "int8 would compute: MatMul 1\n" in shown.out


def test_inputs_of_a_bundle_are_refused(cli, built_bundle):
    done = cli("inspect", built_bundle, "--input", "image=float32[N,1,8,8]")
    assert done.code == 2
    assert f"'{built_bundle}' is a bundle, which declares its own inputs; leave out --input." in done.err
