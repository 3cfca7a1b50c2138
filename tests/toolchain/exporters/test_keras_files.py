"""Keras files that are refused, with Keras or without it."""

from __future__ import annotations

import sys
import types

import pytest

from runtimes.errors import NotInstalledError, UsageError
from toolchain.exporters.keras_models.package import import_keras, is_model, prefer_torch
from toolchain.sources.open_source import open_source


@pytest.fixture
def without_keras(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "keras"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


@pytest.mark.usefixtures("without_keras")
def test_a_file_without_keras_is_answered_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)  # what Python makes of it is a ModuleNotFoundError
    path = tmp_path / "net.keras"
    path.write_bytes(b"PK\x05\x06" + bytes(18))  # an empty zip
    with pytest.raises(NotInstalledError, match=r"needs the package 'keras'; .*pip install 'edgewright\[keras\]'$"):
        open_source(str(path), (), tmp_path / "out.onnx")


def test_a_missing_file(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file '.*net\.keras'"):
        open_source(str(tmp_path / "net.keras"), (), tmp_path / "out.onnx")


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", bytes(100)], ids=["empty", "hdf5", "zeros"])
def test_a_file_that_keras_3_did_not_write(tmp_path, content):
    path = tmp_path / "net.keras"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"is not a \.keras file of Keras 3, or is truncated; write it with"):
        open_source(str(path), (), tmp_path / "out.onnx")


@pytest.mark.usefixtures("without_keras")
def test_another_backend_is_refused_before_its_import(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UsageError, match=r"computes with jax here, .*; set KERAS_BACKEND=torch\.$"):
        import_keras()


@pytest.mark.usefixtures("without_keras")
def test_another_backend_that_is_imported_already_is_refused(monkeypatch):
    other = types.ModuleType("keras")
    other.backend = types.SimpleNamespace(backend=lambda: "tensorflow")
    monkeypatch.setitem(sys.modules, "keras", other)
    with pytest.raises(UsageError, match="computes with tensorflow here"):
        import_keras()


@pytest.mark.usefixtures("without_keras")
def test_a_backend_of_the_users_choice_is_kept(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    prefer_torch()
    assert __import__("os").environ["KERAS_BACKEND"] == "jax"
    assert not is_model(object())
