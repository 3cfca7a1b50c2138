"""Kinds of SOURCE, and the model's name after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.errors import UsageError
from toolchain.sources.open_source import _kind, default_name, is_onnx, open_source


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("net.onnx", "onnx"),
        ("some.folder/NET.ONNX", "onnx"),
        ("net.keras", "keras"),
        ("net.pt2", "pt2"),
        ("net.pt", "torchscript"),
        ("net.pth", "torchscript"),
        ("net.ts", "torchscript"),
        ("package.module:make", "module"),
        ("net.py:make", "module"),
        ("a/b/net.py:make", "module"),
    ],
)
def test_knows_a_source_by_its_form(source, kind):
    assert _kind(source) == kind


@pytest.mark.parametrize(
    "source", ["", "net", "net.tflite", "net.py", "package.module", "net.py:", "net.py:3x", "a:b-c"]
)
def test_any_other_form_is_answered_with_those_there_are(tmp_path, source):
    with pytest.raises(
        UsageError, match=rf"^'{source}' is no kind of source; give a \.keras, \.onnx, .*MODULE:FACTORY, or an edge"
    ):
        open_source(source, (), tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("net.onnx", "net"),
        ("a/b.c/net.v2.onnx", "net.v2"),
        ("my net (1).pt2", "my-net--1"),
        ("net.py:make", "net"),
        ("a/b/net.py:make", "net"),
        ("module:make", "module"),
        ("package.module:make", "module"),
        ("a.b.c:make", "c"),
        ("....onnx", "model"),
    ],
)
def test_a_model_is_called_after_its_file_or_module(source, name):
    assert default_name(source) == name


@pytest.mark.parametrize(
    ("path", "answer"), [("m.onnx", True), ("a/M.ONNX", True), ("m.edge", False), ("onnx", False), ("m.pt", False)]
)
def test_an_onnx_file_is_known_by_its_suffix_in_any_case(path, answer):
    assert is_onnx(Path(path)) is answer
