"""A dimension that is declared dynamic: every size is right, or the export is refused by its name and size."""

from __future__ import annotations

import sys
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from torch import nn
from variants import parse

from runtimes.errors import UsageError
from runtimes.tensors import Array, check_outputs
from runtimes.verification.golden import relative_error
from toolchain.exporters import module
from toolchain.exporters import onnx as onnx_exporter
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel
from toolchain.sources.input_specs import parse_input

X = "x=float32[N,T,8]"
SIZES = st.lists(st.tuples(st.integers(1, 4), st.integers(2, 50)), min_size=1, max_size=5)

# Steps of a file that map [N,T,8] to [N,T,8]; those that fix T have a constant made of the example's length.
FREE_NODES = {
    "Relu": "{y} = Relu({x})",
    "Softmax": "{y} = Softmax<axis=1>({x})",
    "Reshape": "{y} = Reshape({x}, any_length)",
    "Transpose": "{y}t = Transpose<perm=[1,0,2]>({x}) {y} = Transpose<perm=[1,0,2]>({y}t)",
    "ReduceMean": "{y}m = ReduceMean<axes=[1]>({x}) {y} = Sub({x}, {y}m)",
}
FIXING_NODES = {
    "a table": "{y} = Add({x}, table)",
    "flattened": "{y}f = Reshape({x}, flat) {y} = Reshape({y}f, one_length)",
    "a split": "{y}a, {y}b = Split<axis=1>({x}, parts) {y} = Concat<axis=1>({y}b, {y}a)",
}


def steps(free, fixing):
    return st.lists(st.sampled_from([*free, *free, *fixing]), min_size=1, max_size=4)


@settings(max_examples=40)
@given(chosen=steps(FREE_NODES, FIXING_NODES), length=st.integers(4, 40), sizes=SIZES)
def test_a_file(tmp_path_factory, chosen: list[str], length: int, sizes: list[tuple[int, int]]) -> None:
    folder = tmp_path_factory.mktemp("file")
    nodes = {**FREE_NODES, **FIXING_NODES}
    values = ["x", *(f"v{index}" for index in range(1, len(chosen))), "y"]
    body = " ".join(nodes[name].format(x=x, y=y) for name, x, y in zip(chosen, values, values[1:]))
    constants = {
        "any_length": np.array([0, -1, 8]),
        "one_length": np.array([-1, length, 8]),
        "flat": np.array([0, length * 8]),
        "table": np.ones((length, 8), np.float32),
        "parts": np.array([1, length - 1]),
    }
    used = {name: array for name, array in constants.items() if name in body}
    onnx.save(parse(f"t (float[N,T,8] x) => (float[N,T,8] y) {{ {body} }}", used), folder / "m.onnx")

    def export() -> OnnxModel:
        return onnx_exporter.export(str(folder / "m.onnx"), (parse_input(X),), folder / "out.onnx", example(length))

    def computed(x: Array) -> Array:
        output: Array = ReferenceEvaluator(str(folder / "m.onnx")).run(None, {"x": x})[0]
        return output

    right_or_refused(export, computed, length, sizes, is_fixed=any(name in FIXING_NODES for name in chosen))


class Table(nn.Module):
    """Learned positions of one length."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(length, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table


class Mixed(nn.Module):
    """Mixes the steps of a sequence by a matrix, as MLP-Mixer."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.mix = nn.Linear(length, length)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mix(x.transpose(1, 2)).transpose(1, 2)


class Loop(nn.Module):
    """Sums steps in a Python loop."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sums = [x[:, 0]]
        for step in range(1, x.shape[1]):
            sums.append(sums[-1] + x[:, step])
        return torch.stack(sums, 1)


class Branch(nn.Module):
    """Does something else at one length."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[1] == self.length else x


class Centred(nn.Module):
    """Subtracts the mean over all steps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(1, keepdim=True)


FREE_MODULES = {"Linear": lambda length: nn.Linear(8, 8), "Softmax": lambda length: nn.Softmax(1)}
FREE_MODULES["Centred"] = lambda length: Centred()
FIXING_MODULES = {"Table": Table, "Mixed": Mixed, "Loop": lambda length: Loop(), "Branch": Branch}


@settings(max_examples=5)
@given(chosen=steps(FREE_MODULES, FIXING_MODULES), length=st.integers(4, 9), sizes=SIZES)
def test_a_module(tmp_path_factory, chosen: list[str], length: int, sizes: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    makers = {**FREE_MODULES, **FIXING_MODULES}
    network = nn.Sequential(*(makers[name](length) for name in chosen)).eval()

    def export() -> OnnxModel:
        out = tmp_path_factory.mktemp("module") / "m.onnx"
        with patch.object(sys.modules[__name__], "network", lambda: network, create=True):
            return module.export(f"{__name__}:network", (parse_input(X),), out, example(length))

    def computed(x: Array) -> Array:
        with torch.no_grad():
            return np.asarray(network(torch.from_numpy(x)))

    right_or_refused(export, computed, length, sizes, is_fixed=any(name in FIXING_MODULES for name in chosen))


def example(length: int) -> dict[str, Array]:
    return {"x": np.random.default_rng(0).standard_normal((4, length, 8)).astype(np.float32)}


def right_or_refused(
    export: Callable[[], OnnxModel],
    computed: Callable[[Array], Array],
    length: int,
    sizes: list[tuple[int, int]],
    *,
    is_fixed: bool,
) -> None:
    """Export a model whose length is fixed or free, and compare it with its source at all sizes."""
    if is_fixed:
        with pytest.raises(UsageError, match=rf"'T'.*\b{length}\b|\b{length}\b.*'T'"):
            export()
        return
    model = export()
    session = ort_session.session(model.path)
    for batch, size in sizes:
        x = np.random.default_rng(size).standard_normal((batch, size, 8)).astype(np.float32)
        outputs = ort_session.run_sample(session, 0, {"x": x})
        check_outputs(model.outputs, {model.outputs[0].name: outputs[0]}, {"N": batch, "T": size})
        assert relative_error(outputs[0], computed(x)) < 1e-4
