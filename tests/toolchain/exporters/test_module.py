"""Factories of PyTorch modules as the source."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.exporters import module
from toolchain.models.onnx_model import OnnxModel
from toolchain.sources.input_specs import example_samples, parse_input

IMAGE = (parse_input("image=float32[N,1,8,8]"),)
FACTORY = """
from torch import nn
import torch

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.drop = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.head = nn.Linear(4 * 36, 3)

    def forward(self, image):
        return self.head(self.drop(self.norm(self.conv(image)).relu().flatten(1)))

make = Net
"""


class Scaled(nn.Module):
    """Two inputs, outputs in a dict and a tuple."""

    def forward(self, x, mask):
        return {"kept": torch.where(mask, x, 0.0), "more": (x * 2, x.sum(1))}


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class AlwaysDropping(nn.Module):
    """Dropout that `eval()` does not reach."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.5, training=True)


class HalfPrecision(nn.Module):
    """A bfloat16 product, which ONNX Runtime's CPU provider cannot compute."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2).bfloat16()

    def forward(self, x):
        return self.head(x.bfloat16()).float()


class Branching(nn.Module):
    """Python control flow on a value, which torch.export cannot trace."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


def factory(folder: Path, text: str = FACTORY, file: str = "net.py") -> str:
    """FILE.py:make for a file with this text."""
    (folder / file).write_text(dedent(text))
    return f"{folder / file}:make"


def run(model: OnnxModel, n: int = 3) -> list[np.ndarray]:
    arrays = example_samples(model.inputs, n, seed=5)
    return ort.InferenceSession(model.path).run(None, arrays)


def export_here(built: nn.Module, out: Path, *inputs: str) -> OnnxModel:
    """Export a module of this file."""
    globals()["_built"] = built
    return module.export(f"{__name__}:_make", tuple(map(parse_input, inputs)), out)


def _make() -> nn.Module:
    return globals()["_built"]


def test_a_factory_in_a_file(tmp_path):
    model = module.export(factory(tmp_path), IMAGE, tmp_path / "net.onnx")
    assert model.inputs == (TensorSpec("image", "float32", ("N", 1, 8, 8)),)
    assert [spec.shape for spec in model.outputs] == [("N", 3)]
    source = module.make(f"{tmp_path / 'net.py'}:make")
    expected = source(torch.from_numpy(example_samples(model.inputs, 3, seed=5)["image"])).detach().numpy()
    assert np.allclose(run(model)[0], expected, atol=1e-5)


def test_a_factory_in_a_package_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "somepackage").mkdir()
    factory(tmp_path / "somepackage", file="nets.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    model = module.export("somepackage.nets:make", IMAGE, tmp_path / "net.onnx")
    assert run(model)[0].shape == (3, 3)


def test_dropout_and_batch_norm_are_put_in_eval_mode(tmp_path):
    built = module.make(factory(tmp_path, FACTORY.replace("make = Net", "make = lambda: Net().train()")))
    assert not any(part.training for part in built.modules())


def test_several_inputs_and_nested_outputs(tmp_path):
    model = export_here(Scaled(), tmp_path / "m.onnx", "x=float32[N,4]", "mask=bool[N,4]")
    assert [str(spec) for spec in model.inputs] == ["x=float32[N,4]", "mask=bool[N,4]"]
    assert [str(spec) for spec in model.outputs] == [
        "kept=float32[N,4]",
        "more.0=float32[N,4]",
        "more.1=float32[N]",
    ]


def test_several_dynamic_dimensions(tmp_path):
    model = export_here(nn.Linear(4, 2), tmp_path / "m.onnx", "x=float32[batch,length,4]")
    assert model.inputs[0].shape == ("batch", "length", 4)
    session = ort.InferenceSession(model.path)
    for shape in ((1, 1, 4), (3, 17, 4)):
        assert session.run(None, {"x": np.zeros(shape, np.float32)})[0].shape == (*shape[:2], 2)


def test_an_input_without_dimensions(tmp_path):
    model = export_here(nn.Identity(), tmp_path / "m.onnx", "x=float32[]")
    assert model.inputs[0].shape == ()


@pytest.mark.parametrize("built", [Noisy(), AlwaysDropping()], ids=["noise", "dropout"])
def test_randomness_is_caught_by_the_parity_check(tmp_path, built):
    with pytest.raises(
        UsageError, match=r"computes something else: output .* differs by .*in eval mode, and free of rand"
    ):
        export_here(built, tmp_path / "m.onnx", "x=float32[N,64]")


def test_what_onnx_runtime_cannot_compute_is_said(tmp_path):
    with pytest.raises(UsageError, match="ONNX Runtime cannot load the ONNX export of"):
        export_here(HalfPrecision(), tmp_path / "m.onnx", "x=float32[N,4]")


@pytest.mark.parametrize(
    ("built", "inputs", "words"),
    [
        (Branching(), ["x=float32[N,4]"], "cannot be exported to ONNX, at .*test_module.py.* depends on values"),
        (nn.Linear(4, 2), ["x=float32[N,5]"], r"fails on inputs of the declared shapes, x \[2, 5\]: .*2x5 and 4x2"),
        (nn.Linear(4, 2), ["x=int64[N,4]"], "fails on inputs of the declared shapes, .*dtype"),
    ],
    ids=["control-flow", "wrong-shape", "wrong-dtype"],
)
def test_what_cannot_be_exported_is_one_sentence_without_a_traceback(tmp_path, capfd, built, inputs, words):
    with pytest.raises(UsageError, match=words) as error:
        export_here(built, tmp_path / "m.onnx", *inputs)
    assert "\n" not in str(error.value)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def make(): raise ValueError('no weights')", r"raised ValueError: no weights, at .*net\.py:\d+ \(`"),
        ("def make(): import sys; sys.exit(3)", "raised SystemExit: 3"),
        ("def make(): return {'a': 1}", r"returned a dict; return a torch\.nn\.Module"),
        ("def make(): return None", "returned a NoneType"),
        ("def make(size): return None", "raised TypeError: .*size"),
        ("def other(): return None", "has no function 'make'"),
        ("make = 3", "has no function 'make'"),
        ("import no_such_package_anywhere", "cannot be imported: ModuleNotFoundError: .*no_such_package_anywhere"),
        ("def make(:", "cannot be imported: SyntaxError"),
        ("raise SystemExit", "cannot be imported: SystemExit"),
    ],
)
def test_a_factory_that_cannot_be_used_is_named_with_the_reason(tmp_path, text, words):
    with pytest.raises(UsageError, match=rf"net\.py.*{words}"):
        module.export(factory(tmp_path, text), IMAGE, tmp_path / "net.onnx")


def test_a_factory_without_described_inputs_is_refused(tmp_path):
    with pytest.raises(UsageError, match="needs its inputs described; add --input, as in --input image=float32"):
        module.export(factory(tmp_path), (), tmp_path / "net.onnx")


def test_a_missing_factory_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file '.*nothing\.py'"):
        module.make(f"{tmp_path / 'nothing.py'}:make")


@pytest.mark.parametrize("name", ["linear", "relu", "relu_1", "0.weight", "x"])
def test_an_input_may_be_named_like_anything_inside(tmp_path, name):
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU()).eval()
    model = export_here(net, tmp_path / "m.onnx", f"{name}=float32[N,4]")
    assert [spec.name for spec in model.inputs] == [name]


class Passing(nn.Module):
    """A module that returns its input beside its result, twice."""

    def forward(self, x):
        y = x * 2
        return {"x": x, "y": y, "again": y}


def test_an_input_that_is_returned_is_an_output_of_another_name(tmp_path):
    model = export_here(Passing(), tmp_path / "m.onnx", "x=float32[N,4]")
    assert [spec.name for spec in (*model.inputs, *model.outputs)] == ["x", "x_output", "y", "again"]


def test_a_factory_finds_the_files_beside_it_and_keeps_real_packages(tmp_path):
    (tmp_path / "blocks.py").write_text("from torch import nn\ndef head(): return nn.Linear(4, 2)")
    text = "import onnx\nassert onnx.ModelProto\ndef make():\n    from blocks import head\n    return head()"
    source = factory(tmp_path, text, "onnx.py")
    model = module.export(source, (parse_input("x=float32[N,4]"),), tmp_path / "net.onnx")
    assert model.inputs[0].name == "x"
    assert hasattr(sys.modules["onnx"], "ModelProto")
    assert str(tmp_path) not in sys.path


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", [torch.jit.script, lambda net: torch.jit.trace(net, torch.ones(2, 4))])
def test_a_factory_may_return_torchscript(tmp_path, kind):
    model = export_here(kind(nn.Linear(4, 2).eval()), tmp_path / "m.onnx", "x=float32[N,4]")
    assert str(model.outputs[0]) == "output=float32[N,2]"


class Configured(nn.Module):
    """A decoder as Hugging Face writes them."""

    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(use_cache=True)

    def forward(self, x, use_cache=None):
        keeps = self.config.use_cache if use_cache is None else use_cache
        return {"logits": x * 2, "past": (x * 3,) if keeps else None}


@pytest.mark.parametrize("network", [Configured, lambda: nn.Sequential(nn.Linear(4, 4), Configured())])
def test_a_decoders_cache_is_switched_off(tmp_path, network):
    model = export_here(network(), tmp_path / "m.onnx", "x=float32[N,4]")
    assert [spec.name for spec in model.outputs] == ["logits"]
