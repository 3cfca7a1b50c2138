"""`inspect` on sources that are exported first: it shows the model, or says what `build` says."""

from __future__ import annotations

import pytest
import torch

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
