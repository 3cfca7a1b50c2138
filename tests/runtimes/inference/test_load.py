"""From a bundle to a session: only on the machine it was packed for, only with a runtime that is there."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundle_parts import BundleParts

import runtimes
from runtimes import cpu
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import BackendError, NotInstalledError, TamperedError, UnsupportedError, UsageError
from runtimes.inference.load import check_machine, load
from runtimes.profile import HardwareProfile
from runtimes.tensors import Array

OTHER_ARCH = {"x86_64": "aarch64", "aarch64": "x86_64"}


def test_a_loaded_bundle_computes(bundle: Path, images: Array) -> None:
    with load(bundle) as session:
        scores = session.run({"image": images})["scores"]
    assert scores.shape == (4, 5)
    assert np.any(scores)


def test_the_path_may_be_a_string(bundle: Path) -> None:
    load(str(bundle)).close()


def test_a_session_outlives_its_file(bundle: Path, tmp_path: Path, images: Array) -> None:
    path = tmp_path / "x.edge"
    path.write_bytes(bundle.read_bytes())
    with load(path) as session:
        path.unlink()
        session.run({"image": images})


def test_a_missing_file() -> None:
    with pytest.raises(UsageError, match=r"There is no file 'no\.edge'"):
        load("no.edge")


def test_another_architecture_is_refused(parts: BundleParts, repacked: Callable[[], Path], images: Array) -> None:
    other = parts.manifest["profile"]["arch"] = OTHER_ARCH[cpu.arch()]
    parts.manifest["profile"]["name"] = "far-away"
    path = repacked()
    with pytest.raises(UnsupportedError) as error:
        load(path)
    assert str(error.value) == (
        f"Profile far-away is for {other}, but this machine is {cpu.arch()}; "
        "build for this machine's profile (edgewright profiles --detect)."
    )
    with load(path, any_machine=True) as session:
        session.run({"image": images})


def test_missing_instructions_are_refused_and_named(
    parts: BundleParts, repacked: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "isa_flags", lambda: frozenset({"avx2", "fma"}))
    parts.manifest["profile"]["cpu"]["isa"] = ["fma", "tensor_unit", "avx9000", "avx2"]
    path = repacked()
    with pytest.raises(UnsupportedError, match=r" needs avx9000, tensor_unit, which this machine's processor lacks; "):
        load(path)
    load(path, any_machine=True).close()


def test_a_system_that_shows_no_flags_is_trusted(here: HardwareProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "isa_flags", frozenset)
    check_machine(dataclasses.replace(here, cpu=dataclasses.replace(here.cpu, isa=("avx9000",))))


def test_the_machine_is_checked_before_the_model_is_read(parts: BundleParts, tmp_path: Path) -> None:
    parts.manifest["profile"]["arch"] = OTHER_ARCH[cpu.arch()]
    parts.members["artifact/model.onnx"] = parts.members["artifact/model.onnx"][::-1]
    path = parts.write(tmp_path / "x.edge")
    with pytest.raises(UnsupportedError):
        load(path)
    with pytest.raises(TamperedError):
        load(path, any_machine=True)


@pytest.mark.parametrize("runtime", ["tensorflow", "_private", "../null", "", "os"])
def test_an_unknown_runtime(parts: BundleParts, repacked: Callable[[], Path], runtime: str) -> None:
    parts.manifest["artifact"]["runtime"] = runtime
    with pytest.raises(UsageError, match=rf"Unknown runtime '{runtime}'; choose from null, onnxruntime"):
        load(repacked())


def test_a_runtime_that_is_not_installed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "runtimes.backends.onnxruntime", raising=False)
    with pytest.raises(NotInstalledError) as error:
        load(bundle)
    assert str(error.value) == (
        "The runtime 'onnxruntime' needs the package 'onnxruntime'; "
        "install it with: pip install 'edgewright[onnxruntime]'"
    )


def test_a_model_that_the_runtime_refuses(parts: BundleParts, repacked: Callable[[], Path]) -> None:
    parts.members["artifact/model.onnx"] = b"no model"
    with pytest.raises(BackendError, match=r"^ONNX Runtime cannot load 'artifact/model\.onnx': "):
        load(repacked())


def test_settings_replace_those_that_were_packed(bundle: Path) -> None:
    with load(bundle) as session:
        assert session.artifact.settings == RuntimeSettings(threads=1)
    settings = RuntimeSettings(threads=2, options={"graph_optimization": "disable"})
    with load(bundle, settings=settings) as session:
        assert session.artifact.settings == settings
    with pytest.raises(UsageError, match="ONNX Runtime has no option speed=11; choose graph_optimization="):
        load(bundle, settings=RuntimeSettings(options={"speed": "11"}))


@pytest.mark.parametrize("threads", [-1, 1025, 2**70])
def test_thread_counts_that_no_runtime_takes(threads: int) -> None:
    with pytest.raises(UsageError, match=f"cannot be given {threads} threads; choose 0 to 1024"):
        RuntimeSettings(threads)


def test_the_package_s_surface_is_what_it_lists(bundle: Path) -> None:
    for name in runtimes.__all__:
        assert hasattr(runtimes, name)
    assert runtimes.load is load
    with runtimes.Bundle(bundle) as opened:
        assert all(result.passed for result in runtimes.replay(opened))


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "absolute"])
def test_weights_outside_the_bundle_are_not_read(
    parts: BundleParts, repacked: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """ONNX may keep tensors in other files; no digest covers those, wherever they are."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    model = onnx.load_from_string(parts.members["artifact/model.onnx"])
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "fc.weight")
    for folder in (tmp_path, tmp_path / "here"):
        (folder / "weights.bin").write_bytes(tensor.raw_data)
    entry = str(tmp_path / "weights.bin") if location == "absolute" else location
    tensor.external_data.add(key="location", value=entry)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    parts.members["artifact/model.onnx"] = model.SerializeToString()
    with pytest.raises(BackendError, match=r"^ONNX Runtime cannot load 'artifact/model\.onnx': "):
        load(repacked())
