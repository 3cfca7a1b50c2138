"""Real engines, built by tensorrt-rtx on a machine without a GPU, and its real refusals."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal

import numpy as np
import psutil
import pytest
import tiny_models

from hwbench.data import dataset
from hwbench.machine import device_profiles
from runtimes.bundles.build_plan import EngineLayer
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.codec import decode, encode
from runtimes.errors import BackendError, UnsupportedError
from runtimes.profile import QuantizationScheme
from runtimes.tensorrt import engine_file
from runtimes.tensorrt.build_engine import build as build_engine
from toolchain.engines.build_target import BuildTarget
from toolchain.engines.planner import plan_engine
from toolchain.engines.shape_ranges import parse_ranges
from toolchain.models.onnx_model import open_model
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_process")

trt = pytest.importorskip(
    "tensorrt_rtx", reason="tensorrt-rtx is not installed: pip install 'edgewright[tensorrt-rtx]'"
)
builder = pytest.importorskip("toolchain.builders.tensorrt_rtx")

RTX = device_profiles.load("rtx-5090")
SCHEME = QuantizationScheme(activations="int8", symmetric=True, quantize_bias=False)
RECIPES = {
    "fp32": Recipe("fp32"),
    "fp16": Recipe("fp16"),
    "bf16": Recipe("bf16"),
    "int8": Recipe("int8", "minmax", SCHEME),
    "fp16-storage": Recipe("fp16-storage"),
    "bf16-storage": Recipe("bf16-storage"),
}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def variant(tmp_path):
    """The tiny classifier in a precision."""

    def make(precision: str):
        np.savez(tmp_path / "c.npz", **tiny_models.samples("conv", 8))
        source = open_model(tiny_models.conv(tmp_path / "source.onnx"))
        samples = dataset.read(tmp_path / "c.npz", source.inputs)
        return quantize(source, RECIPES[precision], samples, tmp_path / "variant.onnx")

    return make


def engine(model, precision, out, profile=RTX, ranges=()):
    out.mkdir(exist_ok=True)
    destination = BuildTarget(profile, parse_ranges(ranges))
    return builder.build(model, RECIPES[precision], RuntimeSettings(), out, destination)


@pytest.mark.parametrize("precision", RECIPES)
def test_every_precision_is_built_and_its_layers_are_listed(variant, tmp_path, precision):
    artifact = engine(variant(precision), precision, tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.engine"]
    assert (artifact.runtime, artifact.precision) == ("tensorrt-rtx", precision)
    assert artifact.tool_versions["tensorrt-rtx"] == trt.__version__
    assert artifact.plan.compute_capability == "12.0"
    assert not artifact.is_compiled_on_device
    types = {layer.precision for layer in artifact.layers}
    expected = {"fp16": "Half", "bf16": "BFloat16", "int8": "Int8"}.get(precision, "Float")
    assert expected in types, types
    assert all(decode(EngineLayer, encode(layer), "a layer") == layer for layer in artifact.layers)


def test_fusions_are_named_by_the_nodes_in_them(variant, tmp_path):
    artifact = engine(variant("fp32"), "fp32", tmp_path / "out")
    assert any(len(layer.nodes) > 1 for layer in artifact.layers)


def test_several_optimization_profiles_in_one_engine(variant, tmp_path):
    artifact = engine(variant("fp16"), "fp16", tmp_path / "out", ranges=["N=1", "N=2:8:32"])
    assert [shapes["image"].opt[0] for shapes in artifact.plan.optimization_profiles] == [1, 8]
    assert artifact.size_bytes == artifact.file.stat().st_size > 0


def test_equal_builds_come_from_the_cache(variant, tmp_path, monkeypatch):
    model = variant("fp32")
    first = engine(model, "fp32", tmp_path / "one")
    monkeypatch.setattr("toolchain.builders._engine.build_in_child", None)  # nothing is built again
    second = engine(model, "fp32", tmp_path / "two")
    assert first.file.read_bytes() == second.file.read_bytes()
    assert dataclasses.replace(second, file=first.file) == first


def test_a_damaged_engine_in_the_cache_is_built_again(variant, tmp_path, capfd):
    model = variant("fp32")
    engine(model, "fp32", tmp_path / "one")
    (file,) = engine_file.open_cache().folder.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert engine(model, "fp32", tmp_path / "two").size_bytes > 0
    assert "is damaged" in capfd.readouterr().err


def test_a_cache_that_cannot_be_written_costs_time_alone(variant, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "file"))
    assert engine(variant("fp32"), "fp32", tmp_path / "out").size_bytes > 0


def on(chip: str):
    """The card, as if it had another compute capability and lacked nothing."""
    return dataclasses.replace(RTX, gpu=dataclasses.replace(RTX.gpu, compute_capability=chip))


def test_turing_refuses_float32_products_in_its_own_words(variant, tmp_path):
    with pytest.raises(BackendError, match=r"cannot build the engine: .*Turing \(SM75\): FP32 GEMM is not supported"):
        engine(variant("fp32"), "fp32", tmp_path / "out", on("7.5"))


def test_turing_refuses_bf16_in_our_words_and_in_its_own(variant, tmp_path):
    model = variant("bf16")
    with pytest.raises(UnsupportedError, match=r"7\.5 has no bf16 arithmetic"):
        engine(model, "bf16", tmp_path / "out", on("7.5"))
    plan = plan_engine(on("7.5"), model.inputs, ("fp32",), runtime="tensorrt-rtx")  # as if bf16 were not known of
    with pytest.raises(BackendError, match="HW-specific datatypes: b16"):
        build_engine(trt, plan, model.path.read_bytes())


@pytest.mark.parametrize("name", ["quantized", "odd"])
def test_what_the_parser_refuses(tmp_path, name):
    if name == "quantized":  # with a zero point of 128
        model = open_model(tiny_models.quantized(tmp_path / "m.onnx"))
        with pytest.raises(BackendError, match=r"cannot parse the model: node 'q' \(QuantizeLinear\)|zero point"):
            engine(model, "fp32", tmp_path / "out")
    else:
        body = "q, s, z = DynamicQuantizeLinear(x) y = DequantizeLinear(q, s, z)"
        model = open_model(tiny_models.double(tmp_path / "m.onnx", body=body))
        with pytest.raises(UnsupportedError, match="DynamicQuantizeLinear"):
            engine(model, "fp32", tmp_path / "out")


def test_a_device_that_it_has_no_target_for(variant, tmp_path):
    with pytest.raises(UnsupportedError, match=r"no target for compute capability 8\.7"):
        engine(variant("fp32"), "fp32", tmp_path / "out", device_profiles.load("jetson-orin-nano"))
    with pytest.raises(UnsupportedError, match="give its profile"):
        builder.build(variant("fp32"), RECIPES["fp32"], RuntimeSettings(), tmp_path)


def test_progress_rises_to_the_end(variant):
    model, seen = variant("fp32"), []
    plan = plan_engine(RTX, model.inputs, ("fp32",), runtime="tensorrt-rtx")
    built = build_engine(trt, plan, model.path.read_bytes(), lambda done, phase: seen.append((done, phase)))
    parts = [done for done, _ in seen]
    assert parts == sorted(parts)
    assert 0 < parts[0] < 0.5 < parts[-1] <= 1
    assert built.timing_cache is None  # they have no effect in tensorrt-rtx


def test_ctrl_c_stops_the_build_and_leaves_nothing(variant, tmp_path):
    model = variant("fp32")
    plan = plan_engine(RTX, model.inputs, ("fp32",), runtime="tensorrt-rtx")
    reached = []

    def interrupt(done: float, phase: str) -> None:
        reached.append(done)
        if len(reached) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        build_engine(trt, plan, model.path.read_bytes(), interrupt)
    again = build_engine(trt, plan, model.path.read_bytes())  # and the next is none the worse
    assert again.engine


def test_a_crash_of_the_builder_is_an_error(variant, tmp_path, monkeypatch):
    """As of tensorrt-rtx 1.7.1 on PP-OCR in bf16; here the child's own process is ended."""
    model = variant("fp32")
    monkeypatch.setattr("toolchain.builders._engine.bar", _killing)
    with pytest.raises(BackendError, match=r"^The process that builds the engine died of signal 9\."):
        engine(model, "fp32", tmp_path / "out")
    assert list(engine_file.open_cache().folder.glob("*")) == []


@contextlib.contextmanager
def _killing(title: str, steps: int):
    """A progress bar whose first step kills the children of this process."""

    def tick(phase: str) -> None:
        for child in psutil.Process().children():
            child.kill()

    yield tick


def test_ctrl_c_reaches_the_child_and_leaves_nothing(variant, tmp_path, monkeypatch):
    model = variant("fp32")

    @contextlib.contextmanager
    def interrupting(title: str, steps: int):
        def tick(phase: str) -> None:
            raise KeyboardInterrupt

        yield tick

    monkeypatch.setattr("toolchain.builders._engine.bar", interrupting)
    with pytest.raises(KeyboardInterrupt):
        engine(model, "fp32", tmp_path / "out")
    assert psutil.Process().children() == []
    assert list(engine_file.open_cache().folder.glob("*")) == []


def test_an_engine_without_a_driver_is_a_sentence(variant, tmp_path):
    from runtimes.errors import NotInstalledError
    from runtimes.tensorrt.cuda._choice import open_memory

    artifact = engine(variant("fp32"), "fp32", tmp_path / "out")
    try:
        open_memory()
    except (UnsupportedError, NotInstalledError) as error:
        reason = str(error)
    else:
        pytest.skip("There is a GPU here.")
    with pytest.raises((UnsupportedError, NotInstalledError)) as refused:
        builder.backend.load(artifact, artifact.file.read_bytes())
    assert str(refused.value) == reason
    assert "NVIDIA GPU" in reason or "pip install" in reason
