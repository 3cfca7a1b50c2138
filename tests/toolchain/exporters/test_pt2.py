"""Saved programs whose inputs a bundle cannot declare as they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters import pt2
from toolchain.sources.input_specs import parse_input


class Halves(nn.Module):
    def forward(self, x):
        return x.reshape(2, -1, 4).sum(0)


class Twice(nn.Module):
    def forward(self, x):
        return x * 2


def saved(folder, net: nn.Module, *tensors: torch.Tensor, **keywords) -> str:
    torch.export.save(torch.export.export(net, tensors, **keywords), folder / "net.pt2")
    return str(folder / "net.pt2")


def test_a_size_that_is_a_multiple_is_refused_with_the_input_to_write(tmp_path):
    source = saved(tmp_path, Halves(), torch.ones(6, 4), dynamic_shapes=({0: 2 * torch.export.Dim("n")},))
    with pytest.raises(UsageError, match=r"'2\*\w+' of input 'x'.*as in --input 'x=float32\[6,4\]'\.$"):
        pt2.export(source, (), tmp_path / "m.onnx")
    for size in (6, "N"):
        model = pt2.export(source, (parse_input(f"x=float32[{size},4]"),), tmp_path / "m.onnx")
        assert model.inputs[0].shape == (size, 4)


def test_a_spec_that_does_not_fit_is_answered_with_one_that_does(tmp_path):
    source = saved(tmp_path, Twice(), torch.ones(2, 4))
    with pytest.raises(UsageError, match=r"'a=int64.*' does not fit\. Write it like --input 'a=float32\[2,4\]'\.$"):
        pt2.export(source, (parse_input("a=int64[2,4]"),), tmp_path / "m.onnx")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int16])
def test_an_input_of_a_type_that_no_input_has_is_refused(tmp_path, dtype):
    source = saved(tmp_path, Twice(), torch.ones(2, 4, dtype=dtype))
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(UsageError, match=rf"input 'x' as {name},.*--input 'x=float32\[2,4\]'"):
        pt2.export(source, (), tmp_path / "m.onnx")
