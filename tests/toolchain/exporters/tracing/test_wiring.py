"""Inputs wired to the parameters of `forward`: by their names, or in order."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters._examples import example_feed
from toolchain.exporters.tracing.export_module import export_and_check
from toolchain.exporters.tracing.export_script import export_script
from toolchain.exporters.tracing.wiring import Wired, by_signature
from toolchain.sources.input_specs import parse_input


class Difference(nn.Module):
    def forward(self, x, scale=None, *, y, flag: bool = False):
        return x * 2 - y if scale is None else (x * 2 - y) * scale


class InOrder(nn.Module):
    def forward(self, a, b, c=1):
        return a * 2 - b * c


class Anything(nn.Module):
    def forward(self, *args, **kwargs):
        return args[0] * 2 - args[1]


class Extras(nn.Module):
    def forward(self, x, **kwargs):
        return x * 2 - kwargs["y"]


class Taking(nn.Module):
    def forward(self, x, /, y):
        return x * 2 - y


def specs_of(*names: str):
    return tuple(parse_input(f"{name}=float32[N,3]") for name in names)


def result_of(net: nn.Module, out, *names: str) -> np.ndarray:
    """Export, and compute of ones for the first input, twos for the second and so on."""
    specs = specs_of(*names)
    model = export_and_check(Wired(net, by_signature(net, specs, "net")), specs, example_feed(specs), out, "net")
    feed = {name: np.full((2, 3), place + 1, np.float32) for place, name in enumerate(names)}
    return ort.InferenceSession(model.path).run(None, feed)[0]


@pytest.mark.parametrize(
    ("net", "names", "value"),
    [
        (Difference(), ("x", "y"), 0),
        (Difference(), ("y", "x"), 3),
        (Difference(), ("scale", "y", "x"), 4),
        (InOrder(), ("first", "second"), 0),
        (InOrder(), ("b", "a"), 3),
        (InOrder(), ("p", "q", "r"), -4),
        (Anything(), ("p", "q"), 0),
        (Extras(), ("y", "x"), 3),
        (Taking(), ("p", "q"), 0),
    ],
)
def test_inputs_find_their_parameters(tmp_path, net, names, value):
    assert (result_of(net, tmp_path / "m.onnx", *names) == value).all()


@pytest.mark.parametrize(
    ("net", "names", "words"),
    [
        (
            InOrder(),
            ("a", "bias"),
            r"'net' has no input 'bias'; name each --input after its parameter: `forward` takes \(a, b, c=1\)",
        ),
        (InOrder(), ("a", "c"), r"'net' needs 'b', too; `forward` takes \(a, b, c=1\)\. Describe each tensor"),
        (
            InOrder(),
            ("p",),
            r"'net' needs 'b', too; .* has the name of a parameter, .* in order: p is a\.$",
        ),
        (
            InOrder(),
            ("p", "q", "r", "s"),
            r"'net' takes 3 inputs by position, and 4 were given \('p', 'q', 'r', 's'\); name each --input after its",
        ),
        (Difference(), ("p", "q"), r"'net' needs 'y', too; `forward` takes \(x, scale=None, \*, y, flag=False\)"),
    ],
)
def test_inputs_that_fit_no_parameters_are_told_of_all(net, names, words):
    with pytest.raises(UsageError, match=words):
        by_signature(net, specs_of(*names), "net")


@pytest.mark.parametrize(
    ("net", "names", "told"),
    [
        (InOrder(), ("p", "q"), "in order: p is a, q is b."),
        (InOrder(), ("b", "a"), ""),
        (Anything(), ("p", "q"), ""),
    ],
)
def test_it_is_said_that_order_decides(capfd, net, names, told):
    by_signature(net, specs_of(*names), "net")
    said = capfd.readouterr().err
    assert told in said
    assert bool(told) == bool(said)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("names", "value"), [(("a", "b"), 0), (("b", "a"), 3), (("p", "q"), 0)])
def test_torchscript_is_wired_as_well(tmp_path, names, value):
    specs = specs_of(*names)
    scripted = torch.jit.script(Scripted())
    torch.jit.save(scripted, tmp_path / "net.pt")
    for net in (scripted, torch.jit.load(tmp_path / "net.pt")):
        model = export_script(net, specs, example_feed(specs), tmp_path / "m.onnx", "net")
        feed = {name: np.full((2, 3), place + 1, np.float32) for place, name in enumerate(names)}
        assert (ort.InferenceSession(model.path).run(None, feed)[0] == value).all()


class Scripted(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor, c: int = 1):
        return a * 2 - b * c
