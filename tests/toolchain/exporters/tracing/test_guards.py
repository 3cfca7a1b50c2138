"""Dimensions that the user declares dynamic, and that a model treats as fixed or differently by size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters import module, pt2, torchscript
from toolchain.exporters.tracing.guards import sizes_of_interest
from toolchain.exporters.tracing.wiring import Wired
from toolchain.sources.input_specs import parse_input
from toolchain.sources.sized_runs import MAX_ELEMENTS

SPEC = parse_input("x=float32[N,T]")
SOURCE = """
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.cell, self.head = nn.Embedding(9, 8), nn.GRUCell(8, 8), nn.Linear(96, 4)


class AtTwelve(Model):
    def forward(self, x):
        if x.shape[1] == 12:  # fixes
            return x.mean(1)
        return x.sum(1)


class FromTen(Model):
    def forward(self, x):
        return x.mean(1) if x.shape[1] > 10 else x.sum(1)  # fixes


class Even(Model):
    def forward(self, x):
        if x.shape[1] % 2 == 0:  # fixes
            return x.mean(1)
        return x.sum(1)


class Flat(Model):
    def forward(self, x):
        return self.head(x.reshape(x.shape[0], 96))  # fixes


class Steps(Model):
    def forward(self, x):
        hidden = x.new_zeros(x.shape[0], 8)
        for step in range(x.shape[1]):  # fixes
            hidden = self.cell(x[:, step], hidden)
        return hidden


class Pairs(Model):
    def forward(self, x):
        return x.reshape(2, -1)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """FILE.py with the models above; `# fixes` marks the line that a refusal has to name."""
    file = tmp_path_factory.mktemp("models") / "models.py"
    file.write_text(SOURCE)
    return file


def export(models, name: str, out, length: int, spec: str = "x=float32[N,T,8]"):
    samples = {"x": np.random.default_rng(0).standard_normal((4, length, 8)).astype(np.float32)}
    return module.export(f"{models}:{name}", (parse_input(spec),), out / "m.onnx", samples)


@pytest.mark.parametrize(
    ("name", "length"),
    [("AtTwelve", 12), ("AtTwelve", 8), ("FromTen", 12), ("FromTen", 7), ("Even", 8), ("Even", 9), ("Steps", 4)],
)
def test_a_length_that_the_model_asks_for_is_refused_with_its_line(models, tmp_path, name, length):
    """Whichever way the example takes, and whether or not torch.export calls it narrower."""
    lines = models.read_text().split(f"class {name}(")[0].count("\n") + 1
    offset = models.read_text().split(f"class {name}(")[1].split("# fixes")[0].count("\n")
    with pytest.raises(UsageError, match="declare") as error:
        export(models, name, tmp_path, length)
    assert f"models.py:{lines + offset} (`" in str(error.value)
    assert "'T'" in str(error.value)


def test_the_size_and_a_way_out_are_named(models, tmp_path):
    with pytest.raises(UsageError, match=r"only 12 for dimension 'T' of input 'x'.*--input 'x=float32\[N,12,8\]'"):
        export(models, "Flat", tmp_path, 12)
    assert export(models, "Flat", tmp_path, 12, "x=float32[N,12,8]").inputs[0].shape == ("N", 12, 8)


def test_a_length_that_the_model_rejects_is_told_with_the_shapes_and_the_line(models, tmp_path):
    with pytest.raises(UsageError, match=r"declared shapes, x \[2, 8, 8\], at .*models\.py:\d+ \(`return self\.head"):
        export(models, "Flat", tmp_path, 8)


def test_a_model_that_takes_any_size_is_exported(models, tmp_path):
    assert export(models, "Pairs", tmp_path, 8).outputs[0].shape[0] == 2


class Capped(nn.Module):
    def forward(self, x):
        return x.mean(1) if x.shape[1] > 3_000_000_000 else x.sum(1) if x.shape[1] > 20 else x.amax(1)


def test_sizes_of_interest_are_those_that_an_inference_can_have():
    found = sizes_of_interest(Wired(Capped(), lambda tensors: (tensors, {})), (torch.ones(2, 8),), (SPEC,))
    assert {19, 20, 21} <= set(found["T"])
    assert max(found["T"]) <= MAX_ELEMENTS


def test_a_program_that_fixed_a_length_is_refused(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 4))
    batch = torch.export.Dim("batch")
    torch.export.save(
        torch.export.export(net, (torch.ones(2, 12, 8),), dynamic_shapes=({0: batch},)), tmp_path / "m.pt2"
    )
    with pytest.raises(UsageError, match="takes only 12 for dimension 'T' of input 'x'"):
        pt2.export(str(tmp_path / "m.pt2"), (parse_input("x=float32[N,T,8]"),), tmp_path / "m.onnx")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_that_fixed_a_length_is_refused(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 4))
    torch.jit.save(torch.jit.script(net), tmp_path / "m.pt")
    samples = {"x": np.ones((4, 12, 8), np.float32)}
    with pytest.raises(UsageError, match=r"only 12 for dimension 'T' of input 'x'.*says of another size: .*shapes"):
        torchscript.export(str(tmp_path / "m.pt"), (parse_input("x=float32[N,T,8]"),), tmp_path / "m.onnx", samples)
