"""A profile is taken in a process of its own, which may die."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import numpy_helper, parser

from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.targets import CrashError
from hwbench.targets.local import LocalTarget
from runtimes import plugins, samples
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import BackendError, NotInstalledError
from runtimes.profilers import can_profile, profiler
from toolchain.builders import onnxruntime
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe


@pytest.fixture
def artifact(tmp_path: Path):
    model = open_model(tiny_models.conv(tmp_path / "m.onnx"))
    np.savez(tmp_path / "s.npz", **tiny_models.samples("conv", 4))
    return onnxruntime.build(model, Recipe("fp32"), RuntimeSettings(threads=1), tmp_path)


def packed(artifact: Artifact, path: Path) -> Path:
    """The artifact in a bundle without samples."""
    pack(Contents("m", device_profiles.detect(this_machine()), artifact, Recipe("fp32"), {}, {}), path)
    return path


def test_it_tells_of_every_kernel(artifact, tmp_path: Path):
    found = LocalTarget().profile(packed(artifact, tmp_path / "m.edge"), tmp_path / "s.npz").times
    assert "float product" in {item.kind for item in found}
    assert all(item.us >= 0 for item in found)
    assert {item.kernel for item in found} == {"CPUExecutionProvider"}


def test_what_the_runtime_refuses_is_an_error_in_its_words(artifact, tmp_path: Path):
    artifact.file.write_bytes(b"no model")
    bundle = packed(dataclasses.replace(artifact, size_bytes=8), tmp_path / "m.edge")
    with pytest.raises(BackendError, match="ONNX Runtime cannot load"):
        LocalTarget().profile(bundle, tmp_path / "s.npz")


def test_a_crash_of_the_runtime_is_an_error(artifact, tmp_path: Path):
    # int64 cannot hold the quotient of its smallest number and -1, so the processor raises SIGFPE (onnxruntime 1.31).
    proto = parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]> model (float[N,4] x) => (int64[N] y) {
            shape = Shape(x)
            nothing = Sub(shape, shape)
            least = Add(nothing, smallest)
            minus = Add(nothing, minus_one)
            y = Div(least, minus)
        }""")
    for name, number in (("smallest", np.iinfo(np.int64).min), ("minus_one", -1)):
        proto.graph.initializer.append(numpy_helper.from_array(np.array([number]), name))
    onnx.save(proto, tmp_path / "crash.onnx")
    model = open_model(tmp_path / "crash.onnx")
    np.savez(tmp_path / "x.npz", x=np.ones((4, 4), np.float32))
    size = model.path.stat().st_size
    crashing = dataclasses.replace(
        artifact, file=model.path, inputs=model.inputs, outputs=model.outputs, size_bytes=size
    )
    with pytest.raises(CrashError, match="died of signal 8"):
        LocalTarget().profile(packed(crashing, tmp_path / "crash.edge"), tmp_path / "x.npz")


def test_a_runtime_without_a_profiler_says_so(artifact, tmp_path: Path):
    assert can_profile("onnxruntime")
    assert not can_profile("null")
    bundle = packed(dataclasses.replace(artifact, runtime="null"), tmp_path / "m.edge")
    with pytest.raises(BackendError, match="runtime with a profiler 'null'"):
        LocalTarget().profile(bundle, tmp_path / "s.npz")


@pytest.mark.parametrize("runtime", plugins.names("runtimes.profilers"))
def test_each_runtime_tells_where_its_nodes_run(runtime, artifact, tmp_path: Path):
    try:
        tool = profiler(runtime)
    except NotInstalledError as error:
        pytest.skip(str(error))
    feeds = list(samples.feeds(artifact.inputs, tiny_models.samples("conv", 2)))
    placement = tool.profile(artifact.file.read_bytes(), RuntimeSettings(threads=1), feeds, 2).placement
    assert placement.nodes >= 3
    assert placement.elsewhere == ()
    assert placement.share == 1


def test_a_node_that_openvino_evaluates_by_its_reference_is_elsewhere():
    tool = pytest.importorskip("runtimes.profilers.openvino", reason="openvino is not installed")
    assert tool._is_reference("Reference", "unknown_f32")
    assert tool._is_reference("Convolution", "ref_any_f32")
    assert not tool._is_reference("Gather", "ref_any_f32")  # it has no other kernel
    assert not tool._is_reference("Convolution", "brgconv_avx512_f32")


@pytest.mark.parametrize("static_shapes", ["none", "first", "each"])
def test_openvino_is_profiled_in_the_form_that_a_session_runs(static_shapes, tmp_path: Path):
    backend = pytest.importorskip("runtimes.backends.openvino", reason="openvino is not installed")
    model = tiny_models.conv(tmp_path / "m.onnx").read_bytes()
    feeds = next(samples.feeds(open_model(tmp_path / "m.onnx").inputs, tiny_models.samples("conv", 2)))
    settings = RuntimeSettings(threads=1, options={"static_shapes": static_shapes})
    compiled = backend.profiled(model, settings, feeds).get_compiled_model()
    assert compiled.input(0).partial_shape.is_static == (static_shapes != "none")
