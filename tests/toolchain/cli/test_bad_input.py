"""Sources, inputs, bundles and reports that cannot be used: one sentence, exit code 2, nothing lost."""

from __future__ import annotations

import dataclasses
import json

import pytest
import tiny_models
import torch

from toolchain.packaging.pack import pack


@pytest.mark.parametrize("source", ["nothing.onnx", "nothing.pt2", "nothing.py:make", "edgewright.toml", "nothing.pt"])
def test_a_missing_source(refuses_build, source):
    file = source.partition(":")[0]
    refuses_build("--input", "x=float32[N,4]", source=source, data=False, words=("There is no file", f"'{file}'"))


def test_a_source_of_no_kind(refuses_build):
    refuses_build(
        source="model.tflite", words=("'model.tflite' is no kind of source; give a .keras,", "MODULE:FACTORY")
    )


@pytest.mark.parametrize("content", [b"", b"hello", bytes(100)], ids=["empty", "text", "zeros"])
def test_a_file_that_is_not_onnx(refuses_build, tmp_path, content):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    refuses_build(source=path, words=(f"'{path}' is not", "ONNX model"))


def test_a_truncated_model(refuses_build, tmp_path, digits):
    path = tmp_path / "net.onnx"
    path.write_bytes(digits.onnx.read_bytes()[:-1000])
    refuses_build(source=path, words=(f"'{path}' is not an ONNX model, or is truncated",))


def test_a_truncated_program(refuses_build, tmp_path, digits):
    path = tmp_path / "net.pt2"
    path.write_bytes(digits.program.read_bytes()[:-1000])
    refuses_build(source=path, words=(f"'{path}' cannot be read as a torch.export program",))


def test_a_model_that_lacks_its_external_data(refuses_build, tmp_path):
    path = tiny_models.external(tmp_path / "net.onnx")
    (tmp_path / "weights.data").unlink()
    refuses_build(source=path, words=("keeps weights in 'weights.data', which is not beside it; copy that file too",))


def test_a_model_that_onnx_runtime_cannot_run(refuses_build, tmp_path):
    path = tiny_models.double(tmp_path / "net.onnx", body="y = NoSuchOperator(x)")
    refuses_build(source=path, data=False, words=("ONNX Runtime cannot load", "NoSuchOperator"))


def test_a_pickle(refuses_build, tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "net.pt")
    words = ("is not a TorchScript archive", "FILE.py:FACTORY")
    refuses_build("--input", "x=float32[N,2]", source=tmp_path / "net.pt", data=False, words=words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def make(): raise ValueError('no weights here')", "raised ValueError: no weights here"),
        ("def make():\n    raise RuntimeError('two\\nlines')", "raised RuntimeError: two"),
        ("def make(): return [1, 2]", "returned a list; return a torch.nn.Module."),
        ("def other(): pass", "has no function 'make'; give the source as MODULE:FACTORY or FILE.py:FACTORY."),
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
        ("def make(:", "cannot be imported: SyntaxError"),
        ("import sys; sys.exit('usage: train')", "cannot be imported: SystemExit"),
    ],
    ids=["raises", "raises-lines", "returns-a-list", "missing", "import-error", "syntax-error", "script"],
)
def test_a_factory_that_gives_no_model(refuses_build, tmp_path, text, words):
    (tmp_path / "net.py").write_text(text)
    source = f"{tmp_path / 'net.py'}:make"
    refuses_build("--input", "x=float32[N,4]", source=source, data=False, words=(str(tmp_path / "net.py"), words))


def test_a_module_that_is_not_there(refuses_build):
    words = ("'no_such_package.nets' cannot be imported", "ModuleNotFoundError")
    refuses_build("--input", "x=float32[N,4]", source="no_such_package.nets:make", data=False, words=words)


def test_a_model_with_randomness(refuses_build, tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return x + torch.rand_like(x)\n"
    )
    words = ("computes something else", "in eval mode, and free of randomness?")
    refuses_build("--input", "x=float32[N,4]", source=f"{tmp_path / 'net.py'}:Net", data=False, words=words)


@pytest.mark.parametrize("text", ["image", "image=float32", "image=float32[N,1,8", "=float32[N]", ""])
def test_an_input_that_cannot_be_read(refuses_build, text):
    words = (f"Input '{text}' cannot be read; write it like image=float32[N,3,224,224].",)
    refuses_build("--input", text, words=words)


def test_an_input_of_an_unknown_dtype_or_dimension(refuses_build):
    refuses_build("--input", "image=float[N,1,8,8]", words=("unknown dtype 'float'; choose from float32",))
    refuses_build("--input", "image=float32[N,1,8,0]", words=("'0' is no dimension; give a number above zero",))


def test_an_input_that_the_model_lacks(refuses_build):
    words = ("has no input 'picture'; it takes image=float32[",)
    refuses_build("--input", "picture=float32[N,1,8,8]", words=words)


def test_an_input_of_another_dtype_than_the_models(refuses_build):
    refuses_build("--input", "image=float16[N,1,8,8]", words=("input 'image' is float32, not float16",))


def test_a_factory_whose_inputs_are_not_described(refuses_build, tmp_path):
    (tmp_path / "net.py").write_text("import torch\nmake = lambda: torch.nn.Linear(4, 2)\n")
    words = ("needs its inputs described; add --input, as in --input image=float32[N,3,224,224].",)
    refuses_build(source=f"{tmp_path / 'net.py'}:make", words=words)


@pytest.mark.parametrize("command", ["verify", "measure", "inspect", "gate"])
@pytest.mark.parametrize("damage", ["text", "truncated", "onnx"])
def test_a_bundle_that_is_none(refuses, built_bundle, digits, tmp_path, command, damage):
    whole = {"text": b"hello", "truncated": built_bundle.read_bytes()[:-2000], "onnx": digits.onnx.read_bytes()}
    path = tmp_path / "bad.edge"
    path.write_bytes(whole[damage])
    budget = ("--budget", "p90<=1s") if command == "gate" else ()
    refuses(command, path, *budget, words=(f"'{path}'",))


def test_a_bundle_without_golden_samples(refuses, contents, device, tmp_path):
    bare = dataclasses.replace(contents, profile=device, golden_inputs={}, golden_outputs={}, report=None)
    pack(bare, tmp_path / "bare.edge")
    refuses("verify", tmp_path / "bare.edge", words=("holds no golden samples",))
    refuses("measure", tmp_path / "bare.edge", words=("holds no golden samples to run; rebuild it",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "is not a report"),
        ("[]", "follows report schema None"),
        ('{"schema_version": 99, "profiles": []}', "follows report schema 99; this release of edgewright reads"),
        ('{"schema_version": 2}', "'profiles' is missing"),
        ('{"schema_version": 2, "profiles": []}', "holds 0 profiles"),
    ],
)
def test_a_report_that_is_none(refuses, tmp_path, text, words):
    (tmp_path / "bad.json").write_text(text)
    refuses("gate", tmp_path / "bad.json", "--budget", "p90<=1s", words=(words,))


def test_a_baseline_of_another_model(refuses, built, tmp_path):
    data = json.loads((built / "report.json").read_text())
    for entry in data["profiles"][0]["candidates"]:
        entry["report"]["model"] = "other"
    (tmp_path / "other.json").write_text(json.dumps(data))
    words = ("The baseline is of another model (other, not digits); compare like with like.",)
    refuses("gate", built / "report.json", "--baseline", tmp_path / "other.json", "--budget", "p90<=+5%", words=words)


def test_a_baseline_of_another_machine(refuses, built, tmp_path):
    data = json.loads((built / "report.json").read_text())
    for entry in data["profiles"][0]["candidates"]:
        entry["report"]["machine"]["cpu"] = "Other CPU"
    (tmp_path / "other.json").write_text(json.dumps(data))
    words = ("The baseline was measured on another machine (cpu: Other CPU there",)
    refuses("gate", built / "report.json", "--baseline", tmp_path / "other.json", "--budget", "p90<=+5%", words=words)
