"""A TorchScript archive as the source: scripted or traced, with inputs that it does not use, or no archive at all."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters import torchscript
from toolchain.sources.input_specs import example_samples, parse_input

IMAGE = (parse_input("image=float32[N,1,8,8]"),)


@pytest.mark.parametrize("script", [torch.jit.script, None], ids=["scripted", "traced"])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript(tmp_path, script):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    example = torch.ones(2, 1, 8, 8)
    torch.jit.save(script(net) if script else torch.jit.trace(net, example), tmp_path / "net.pt")
    model = torchscript.export(str(tmp_path / "net.pt"), IMAGE, tmp_path / "m.onnx")
    assert model.inputs == IMAGE
    arrays = example_samples(IMAGE, 3, seed=5)
    (made,) = ort.InferenceSession(model.path).run(None, arrays)
    assert np.allclose(made, net(torch.from_numpy(arrays["image"])).detach(), atol=1e-5)


@pytest.mark.parametrize("script", [torch.jit.script, None], ids=["scripted", "traced"])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_that_ends_in_an_activation(tmp_path, script):
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    torch.jit.save(script(net) if script else torch.jit.trace(net, torch.ones(2, 4)), tmp_path / "net.pt")
    model = torchscript.export(str(tmp_path / "net.pt"), (parse_input("x=float32[N,4]"),), tmp_path / "m.onnx")
    (made,) = ort.InferenceSession(model.path).run(None, example_samples(model.inputs, 3, seed=5))
    assert made.shape == (3, 3)


class Ignoring(nn.Module):
    """Three inputs, of which the second is not used."""

    def forward(self, x, unused, y):
        return x - 2 * y


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_an_unused_input_of_torchscript_is_left_out(tmp_path):
    traced = torch.jit.trace(Ignoring(), (torch.ones(2, 4), torch.ones(2, 5), torch.ones(2, 4)))
    torch.jit.save(traced, tmp_path / "net.pt")
    specs = tuple(map(parse_input, ("x=float32[N,4]", "unused=float32[N,5]", "y=float32[N,4]")))
    model = torchscript.export(str(tmp_path / "net.pt"), specs, tmp_path / "m.onnx")
    assert model.inputs == (specs[0], specs[2])
    feeds = {"x": np.ones((3, 4), np.float32), "y": np.zeros((3, 4), np.float32)}
    assert (ort.InferenceSession(model.path).run(None, feeds)[0] == 1).all()


@pytest.mark.parametrize("saved", ["state_dict", "module"])
def test_pickles_are_refused_and_never_read(tmp_path, saved):
    net = nn.Linear(2, 2)
    torch.save(net.state_dict() if saved == "state_dict" else net, tmp_path / "net.pt")
    for inputs in (IMAGE, ()):  # nobody is asked to describe the inputs of what has no program
        with pytest.raises(UsageError, match=r"is not a TorchScript archive .*give the source as FILE\.py:FACTORY"):
            torchscript.export(str(tmp_path / "net.pt"), inputs, tmp_path / "m.onnx")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_half_scripts_with_float32_inputs_are_exported_in_float32(tmp_path, dtype):
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).to(dtype).eval()
    torch.jit.save(torch.jit.script(net), tmp_path / "net.pt")
    model = torchscript.export(str(tmp_path / "net.pt"), (parse_input("x=float32[N,4]"),), tmp_path / "m.onnx")
    arrays = example_samples(model.inputs, 3, seed=5)
    (made,) = ort.InferenceSession(model.path).run(None, arrays)
    assert np.allclose(made, net.float()(torch.from_numpy(arrays["x"])).detach(), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_half_scripts_are_compared_as_their_digits_allow(tmp_path):
    """The sum of 4096 products differs by 3e-3 between the kernels."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4096, 8), nn.LayerNorm(8), nn.Linear(8, 8)).half().eval()
    torch.jit.save(torch.jit.script(net), tmp_path / "net.pt")
    specs = (parse_input("x=float16[N,4096]"),)
    assert torchscript.export(str(tmp_path / "net.pt"), specs, tmp_path / "m.onnx").outputs[0].dtype == "float16"


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_reason_of_a_script_is_told_once(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(5, 3)), tmp_path / "net.pt")
    with pytest.raises(UsageError, match="RuntimeError: mat1") as error:
        torchscript.export(str(tmp_path / "net.pt"), (parse_input("x=float32[N,4]"),), tmp_path / "m.onnx")
    assert "RuntimeError: RuntimeError" not in str(error.value)


class Writing(nn.Module):
    def forward(self, x):
        return x.add_(1) * 2


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_model_may_write_into_its_input(tmp_path):
    torch.jit.save(torch.jit.script(Writing()), tmp_path / "net.pt")
    torchscript.export(str(tmp_path / "net.pt"), (parse_input("x=float32[N,4]"),), tmp_path / "m.onnx")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_script_without_described_inputs_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "net.pt")
    with pytest.raises(UsageError, match="needs its inputs described; add --input, as in --input image=float32"):
        torchscript.export(str(tmp_path / "net.pt"), (), tmp_path / "m.onnx")


def test_a_missing_script_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file '.*nothing\.pt'"):
        torchscript.export(str(tmp_path / "nothing.pt"), IMAGE, tmp_path / "m.onnx")
