"""Programs saved with torch.export.save as the source."""

from __future__ import annotations

import onnxruntime as ort
import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters import pt2
from toolchain.sources.input_specs import example_samples, parse_input

IMAGE = (parse_input("image=float32[N,1,8,8]"),)


class Halves(nn.Module):
    def forward(self, x):
        return x.reshape(2, -1, 4).sum(0)


class Masked(nn.Module):
    def forward(self, x, mask):
        return torch.where(mask, x, 0.0)


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


def test_a_program_saved_in_train_mode_is_caught_by_the_parity_check(tmp_path):
    path = tmp_path / "training.pt2"
    built = nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.5)).train()
    torch.export.save(torch.export.export(built, (torch.ones(2, 16),)), path)
    with pytest.raises(UsageError, match=r"computes something else: .*Is the model in eval mode"):
        pt2.export(str(path), (), tmp_path / "m.onnx")


def test_a_saved_program_brings_its_own_shapes(tmp_path, digits):
    model = pt2.export(str(digits.program), (), tmp_path / "m.onnx")
    assert [spec.shape[1:] for spec in model.inputs] == [(1, 8, 8)]
    assert isinstance(model.inputs[0].shape[0], str)
    arrays = example_samples(model.inputs, 3, seed=5)
    assert ort.InferenceSession(model.path).run(None, arrays)[0].shape == (3, 10)


def test_a_saved_programs_inputs_can_be_named(tmp_path, digits):
    model = pt2.export(str(digits.program), IMAGE, tmp_path / "m.onnx")
    assert [spec.name for spec in model.inputs] == ["image"]


@pytest.mark.parametrize("content", [b"", b"not a program", b"PK\x05\x06" + bytes(18)], ids=["empty", "text", "zip"])
def test_a_file_that_is_no_program_is_refused(tmp_path, content):
    path = tmp_path / "net.pt2"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"net\.pt2' cannot be read as a torch\.export program"):
        pt2.export(str(path), (), tmp_path / "m.onnx")


def test_a_program_with_keyword_arguments(tmp_path):
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(Masked(), (torch.ones(2, 4),), {"mask": torch.ones(2, 4) > 0}), path)
    assert [spec.name for spec in pt2.export(str(path), (), tmp_path / "m.onnx").inputs] == ["x", "mask"]
    swapped = tuple(map(parse_input, ("mask=bool[2,4]", "x=float32[2,4]")))
    assert set(pt2.export(str(path), swapped, tmp_path / "m.onnx").inputs) == set(swapped)


def test_what_does_not_fit_a_program_is_refused(tmp_path, digits):
    for specs in (["a=float32[N,8,8]"], ["a=int64[N,1,8,8]"], ["a=float32[N,1,8,8]", "b=float32[N]"]):
        with pytest.raises(UsageError, match=r"takes .*=float32\[.*,1,8,8\]"):
            pt2.export(str(digits.program), tuple(map(parse_input, specs)), tmp_path / "m.onnx")


def test_a_programs_batch_may_be_fixed_by_the_declaration(tmp_path, digits):
    model = pt2.export(str(digits.program), (parse_input("image=float32[1,1,8,8]"),), tmp_path / "m.onnx")
    assert (model.inputs[0].shape, model.outputs[0].shape) == ((1, 1, 8, 8), (1, 10))


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file '.*nothing\.pt2'"):
        pt2.export(str(tmp_path / "nothing.pt2"), IMAGE, tmp_path / "m.onnx")
