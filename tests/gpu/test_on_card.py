"""The whole on a card: engines are built, loaded, run and timed. `python -m benchmarks.gpu` runs these."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnxruntime as ort
import pytest
from onnx import parser

from hwbench.machine import gpu_state, gpu_timing
from runtimes.__main__ import main
from runtimes.backends import onnxruntime as onnx_backend
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import BackendError, FeedError, UnsupportedError
from runtimes.tensorrt import engine_layers
from runtimes.tensorrt.build_engine import build
from runtimes.tensorrt.engine_session import EngineSession
from toolchain.builders import _engine
from toolchain.builders import onnxruntime as onnx_builder
from toolchain.engines.planner import plan_engine
from toolchain.engines.shape_ranges import parse_ranges
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import pack
from toolchain.recipes.apply_recipe import quantize
from toolchain.recipes.recipe import Recipe

pytestmark = pytest.mark.gpu


@pytest.fixture
def make(backend, card, profile, tiny_onnx, tmp_path):
    """Builds the tiny model in a precision, and opens it."""

    def made(precision="fp32", ranges=("N=1", "N=2:4:8"), timing_cache=None, **options):
        model = quantize(open_model(tiny_onnx), Recipe(precision), None, tmp_path / f"{precision}.onnx")
        runtime = "tensorrt-rtx" if "rtx" in backend.trt.__name__ else "tensorrt"
        arithmetic = ("fp32",) if precision == "fp32" else ("fp32", precision)
        try:
            plan = plan_engine(profile, model.inputs, arithmetic, parse_ranges(ranges), runtime)
        except UnsupportedError as error:
            pytest.skip(str(error))
        built = build(backend.trt, plan, model.path.read_bytes(), timing_cache=timing_cache)
        file = onnx_builder.build(model, Recipe(precision), RuntimeSettings(), tmp_path).file
        artifact = _engine.artifact(model, Recipe(precision), RuntimeSettings(options=options), file, plan, {})
        return EngineSession(artifact, backend.trt, built.engine, card), built

    return made


def expected(tiny_onnx, images):
    return ort.InferenceSession(tiny_onnx, providers=["CPUExecutionProvider"]).run(["scores"], {"image": images})[0]


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 2e-3), ("fp16", 2e-2), ("bf16", 5e-2)])
def test_it_computes_the_model(make, tiny_onnx, images, precision, tolerance):
    session, _ = make(precision)
    with session:
        for n in (1, 4, 2, 1):
            scores = session.run({"image": images[:n]})["scores"]
            np.testing.assert_allclose(scores, expected(tiny_onnx, images[:n]), rtol=tolerance, atol=tolerance)


def test_shapes_beyond_the_optimization_profiles(make, images):
    session, _ = make()
    with session, pytest.raises(FeedError, match="--range"):
        session.run({"image": np.concatenate([images] * 3)})


def test_several_sessions_in_one_process(make, images):
    one, two = make()[0], make("fp16")[0]
    with one, two:
        first = one.run({"image": images})["scores"]
        two.run({"image": images + 1})
        np.testing.assert_array_equal(one.run({"image": images})["scores"], first)


def test_the_inspector_lists_layers(make, backend):
    session, _ = make("fp16")
    with session:
        listed = engine_layers.from_engine(backend.trt, session.engine)
    assert listed
    assert all(layer.name for layer in listed)


def test_kernel_times_of_one_build_serve_the_next(make, backend):
    session, built = make()
    session.close()
    if built.timing_cache is None:
        pytest.skip("tensorrt-rtx keeps no kernel times.")
    again, _ = make(timing_cache=built.timing_cache)
    again.close()
    with pytest.raises(BackendError):
        make(timing_cache=b"of nobody")


def test_the_parts_of_an_inference(make, images):
    session, _ = make()
    with session, gpu_state.state_reader() as read:
        times = gpu_timing.measure(session, [{"image": images}], 50, read_state=read)
    for part in ("h2d", "compute", "d2h", "enqueue"):
        assert (times.of(part) > 0).all()
    assert times.states


def test_static_shapes_run_as_a_graph(backend, card, profile, tmp_path):
    text = '<ir_version: 8, opset_import: ["" : 17]> fixed (float[2,3] x) => (float[2,3] y) { y = Add(x, x) }'
    file = tmp_path / "model.onnx"
    file.write_bytes(parser.parse_model(text).SerializeToString())
    model = open_model(file)
    runtime = "tensorrt-rtx" if "rtx" in backend.trt.__name__ else "tensorrt"
    plan = plan_engine(profile, model.inputs, ("fp32",), (), runtime)
    built = build(backend.trt, plan, file.read_bytes())
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for options in ({}, {"cuda_graph": "off"}):
        artifact = _engine.artifact(model, Recipe("fp32"), RuntimeSettings(options=options), file, plan, {})
        with EngineSession(artifact, backend.trt, built.engine, card) as session:
            assert session.uses_cuda_graph == (card.can_capture and not options)
            np.testing.assert_array_equal(session.run({"x": x})["y"], 2 * x)


def test_onnxruntime_on_cuda_computes_the_model(card, contents, tiny_onnx, images):
    settings = RuntimeSettings(options={"provider": "cuda", "cpu_fallback": "1"})
    artifact = dataclasses.replace(contents.artifact, settings=settings)
    try:
        session = onnx_backend.load(artifact, artifact.file.read_bytes())
    except UnsupportedError as error:
        pytest.skip(str(error))
    with session:
        scores = session.run({"image": images})["scores"]
    np.testing.assert_allclose(scores, expected(tiny_onnx, images), rtol=2e-3, atol=2e-3)


def test_a_bundle_is_compiled_proven_and_run(backend, profile, contents, tmp_path, monkeypatch):
    if "rtx" in backend.trt.__name__:
        pytest.skip("tensorrt-rtx builds on the host.")
    monkeypatch.setattr("runtimes.inference.load.check_machine", lambda profile: None)
    model = open_model(contents.artifact.file)
    plan = plan_engine(profile, model.inputs, ("fp32",), parse_ranges(["N=1:1:4"]))
    artifact = _engine.artifact(model, Recipe("fp32"), RuntimeSettings(), contents.artifact.file, plan, {})
    bundle = tmp_path / "tiny.edge"
    pack(dataclasses.replace(contents, profile=profile, artifact=artifact), bundle)
    assert main(["compile", str(bundle)]) == 0
    assert main(["verify", str(bundle)]) == 0
