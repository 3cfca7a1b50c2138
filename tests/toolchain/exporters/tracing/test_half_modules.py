"""Modules in half precision, and results that hold NaN."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters._examples import example_feed
from toolchain.exporters.tracing.export_module import export_and_check
from toolchain.exporters.tracing.wiring import Wired, by_signature
from toolchain.sources.input_specs import parse_input


class Mixed(nn.Module):
    """Layers in one type beside buffers in others."""

    def __init__(self, dtype: torch.dtype):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).to(dtype)
        self.register_buffer("levels", torch.arange(4, dtype=torch.int8))
        self.register_buffer("scale", torch.tensor(2.0, dtype=torch.float64))

    def forward(self, x):
        return self.net(x) + self.levels


class Tokens(nn.Module):
    def __init__(self, dtype: torch.dtype):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Embedding(5, 8), nn.Linear(8, 4)).to(dtype)

    def forward(self, tokens):
        return self.net(tokens)


def export(net: nn.Module, out, spec: str):
    specs = (parse_input(spec),)
    wired = Wired(net.eval(), by_signature(net, specs, "net"))
    return export_and_check(wired, specs, example_feed(specs), out / "m.onnx", "net")


@pytest.mark.parametrize(
    ("net", "spec", "dtype"),
    [
        (Mixed(torch.float16), "x=float16[N,16]", "float16"),
        (Mixed(torch.float16), "x=float32[N,16]", "float32"),
        (Mixed(torch.bfloat16), "x=float32[N,16]", "float32"),
        (Mixed(torch.float64), "x=float64[N,16]", "float64"),
        (Tokens(torch.float16), "tokens=int64[N,T]", "float16"),
        (Tokens(torch.bfloat16), "tokens=int64[N,T]", "float32"),
    ],
    ids=["fp16", "fp16-as-float32", "bf16", "float64", "fp16-tokens", "bf16-tokens"],
)
def test_modules_of_every_type_of_float(tmp_path, net, spec, dtype):
    assert export(net, tmp_path, spec).outputs[0].dtype == dtype
    assert {parameter.dtype for parameter in net.parameters()} != {torch.float32}  # the user's own stays as it was


class Ratio(nn.Module):
    """A mean over a mask that may be empty; `wrong` is NaN while torch traces alone."""

    def __init__(self, wrong: bool = False):
        super().__init__()
        self.wrong = wrong

    def forward(self, x):
        kept = (x > 1e9).float()
        mean = (x * kept).sum(1) / kept.sum(1)
        return {"mean": torch.nan_to_num(mean) if self.wrong and torch.compiler.is_exporting() else mean, "x2": x * 2}


def test_nan_in_the_same_places_is_equal(tmp_path):
    assert [spec.name for spec in export(Ratio(), tmp_path, "x=float32[N,4]").outputs] == ["mean", "x2"]
    with pytest.raises(UsageError, match="output 'mean' differs by nan"):
        export(Ratio(wrong=True), tmp_path, "x=float32[N,4]")
