"""Exports of sources that take real samples alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters import torchscript
from toolchain.sources.input_specs import parse_input
from toolchain.sources.open_source import open_source


class Words(nn.Module):
    """An embedding whose tokens exclude most random numbers."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, tokens):
        return self.table(tokens - 900)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["module", "torchscript"])
def test_real_samples_are_used_where_random_ones_do_not_do(tmp_path, kind):
    specs, samples = (parse_input("tokens=int64[N,L]"),), {"tokens": np.full((4, 6), 900), "labels": np.zeros(4)}
    torch.jit.save(torch.jit.script(Words()), tmp_path / "net.pt")
    source = str(tmp_path / "net.pt") if kind == "torchscript" else f"{__name__}:Words"
    with pytest.raises(UsageError, match="fails on inputs of the declared shapes"):
        open_source(source, specs, tmp_path / "m.onnx")
    assert open_source(source, specs, tmp_path / "m.onnx", samples).inputs == specs


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_values_that_the_source_does_not_take_are_told_how_to_replace(tmp_path):
    torch.jit.save(torch.jit.script(nn.Embedding(1, 4)), tmp_path / "net.pt")
    with pytest.raises(UsageError, match=r"fails on inputs .*out of range.* give valid samples with --calibration"):
        torchscript.export(str(tmp_path / "net.pt"), (parse_input("t=int64[N,9]"),), tmp_path / "m.onnx")
