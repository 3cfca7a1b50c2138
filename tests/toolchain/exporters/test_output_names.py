"""Names of outputs: those that the module gives them, and those of --output."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
import pytest
import tiny_models
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters import onnx as onnx_exporter
from toolchain.exporters._output_names import rename_outputs
from toolchain.exporters.tracing.results import named_tensors
from toolchain.models.onnx_model import open_model
from toolchain.sources.input_specs import parse_input
from toolchain.sources.open_source import open_source

A, B, C = torch.ones(1), torch.ones(2), torch.ones(3)


@dataclasses.dataclass
class Found:
    boxes: Any
    scores: Any = None


class Pair(NamedTuple):
    mean: Any
    logvar: Any


class ModelOutput(collections.OrderedDict):
    """Hugging Face's results look like this: a mapping that leaves out what is None."""


class Layer:
    def __init__(self):
        self.keys, self.values = B, C


class Cache:
    """Hugging Face's caches look like this."""

    def __init__(self):
        self.layers = [Layer(), Layer()]


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (A, ["output"]),
        ([A, B], ["output_0", "output_1"]),
        ((A,), ["output_0"]),
        ((A, None, 3, B), ["output_0", "output_3"]),
        ({"logits": A, "hidden": (B, C), "loss": None}, ["logits", "hidden.0", "hidden.1"]),
        (Found(A, B), ["boxes", "scores"]),
        (Found(A), ["boxes"]),
        (Pair(A, {"of": B}), ["mean", "logvar.of"]),
        ((A, Pair(B, C)), ["output_0", "output_1.mean", "output_1.logvar"]),
        (ModelOutput(last_hidden_state=A, pooled=B), ["last_hidden_state", "pooled"]),
        (
            ModelOutput(logits=A, past=Cache()),
            ["logits", "past.0.key", "past.0.value", "past.1.key", "past.1.value"],
        ),
        (torch.return_types.max((A, B)), ["output_0", "output_1"]),
    ],
)
def test_keys_and_fields_name_the_tensors(result, names):
    assert [name for name, _ in named_tensors(result)] == names


def test_a_result_that_cannot_be_taken_apart_is_refused():
    with pytest.raises(UsageError, match="returns a object; return tensors, alone or in a tuple, dict or dataclass"):
        named_tensors({"a": A, "b": object()})


class Classifier(nn.Module):
    """A model that returns a dataclass, its input, a constant, a number and None."""

    def __init__(self, layers: int = 1):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
        self.register_buffer("anchors", torch.arange(3.0))

    def forward(self, x):
        y = self.layers(x)
        extra = {"anchors": self.anchors, "twice": self.anchors * 2, "count": x.shape[0], "nothing": None}
        return {"found": Found(y, y), "x": x, **extra}


_built: list[nn.Module] = []


def _make() -> nn.Module:
    return _built[-1]


def open_module(net: nn.Module, out, *specs: str, outputs=()):
    _built.append(net)
    return open_source(f"{__name__}:_make", tuple(map(parse_input, specs)), out, outputs=outputs)


@pytest.mark.parametrize("layers", [1, 2])
def test_outputs_keep_their_names_whatever_is_inside(tmp_path, layers):
    model = open_module(Classifier(layers), tmp_path / "m.onnx", "x=float32[N,4]")
    assert [spec.name for spec in model.outputs] == ["found.boxes", "found.scores", "x_output"]
    x = np.ones((3, 4), np.float32)
    boxes, scores, passed = ort.InferenceSession(model.path).run(None, {"x": x})
    assert (boxes == scores).all()
    assert (passed == x).all()


def test_outputs_can_be_renamed(tmp_path):
    model = open_module(Classifier(), tmp_path / "m.onnx", "x=float32[N,4]", outputs=("boxes", "anchors"))
    assert [spec.name for spec in model.outputs] == ["boxes", "anchors", "x_output"]
    assert model.source_sha256 is None


class Constant(nn.Module):
    def forward(self, x):
        return torch.ones(3)


def test_a_model_without_an_output_of_its_own_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"No output depends on an input \(output\)"):
        open_module(Constant(), tmp_path / "m.onnx", "x=float32[N,4]")


def test_an_onnx_files_outputs_are_renamed_in_a_copy(tmp_path):
    source = tiny_models.conv(tmp_path / "net.onnx")
    before = source.read_bytes()
    model = open_source(str(source), (), tmp_path / "m.onnx", outputs=("image_scores",))
    assert [spec.name for spec in model.outputs] == ["image_scores"]
    assert model.source_sha256 == onnx_exporter.export(str(source), (), tmp_path / "other.onnx").sha256
    assert source.read_bytes() == before
    feed = {"image": np.ones((2, 3, 8, 8), np.float32)}
    renamed = ort.InferenceSession(model.path).run(["image_scores"], feed)[0]
    assert np.array_equal(renamed, ort.InferenceSession(source).run(None, feed)[0])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a", "b"), r"has 1 outputs \(scores\), and --output names 2"),
        (("image",), "--output 'image' is empty, or is the name of another input or output"),
        (("",), "--output '' is empty"),
    ],
)
def test_names_that_outputs_cannot_have_are_refused(tmp_path, names, words):
    source = tiny_models.conv(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=words):
        rename_outputs(open_model(source), names, "net.onnx", tmp_path / "m.onnx")
