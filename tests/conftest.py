"""Fixtures that several packages' tests share: a small real model, this machine's profile, a bundle of the two."""

from __future__ import annotations

import gc
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import one_process
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, settings
from onnx import TensorProto, helper, numpy_helper

from hwbench.machine import device_profiles, identity
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.profile import HardwareProfile
from runtimes.tensors import Array
from toolchain.builders import onnxruntime as builder
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

ROOT = Path(__file__).parents[1]

# Machines that run tests are shared and slow by turns; a deadline would tell us about them, not about the code.
settings.register_profile("edgewright", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edgewright")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from walking all imported modules time and again, now and in the tests.

    That took a third of the time to collect, and a tenth of the tests that export a model.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)  # traces of torch make many objects, of which few are garbage
        gc.enable()


@pytest.fixture
def hangup_ends() -> Iterator[None]:
    """Children of the test obey SIGHUP, even if this run ignores it and they would inherit that, as under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests find nothing that earlier builds and gates left on this machine, and leave nothing there.

    Their child processes train on one thread: threads that wait by spinning take the cores from others.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("EDGEWRIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _interrupts_arrive() -> Iterator[None]:
    """A shell's background job is started with SIGINT ignored, and so would be all that tests interrupt."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.fixture(name="one_process")
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models run in this process. For tests of what comes of it; others test the processes."""
    one_process.install(monkeypatch)


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """image float32[N,3,8,8] -> Conv, Relu, Gemm -> scores float32[N,5]."""
    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": rng.normal(0, 0.3, (4, 3, 3, 3)),
        "conv.bias": rng.normal(0, 0.3, (4,)),
        "fc.weight": rng.normal(0, 0.1, (5, 256)),
        "fc.bias": rng.normal(0, 0.1, (5,)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "conv.weight", "conv.bias"], ["features"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["features"], ["active"]),
            helper.make_node("Flatten", ["active"], ["flat"]),
            helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["scores"], transB=1),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def here() -> HardwareProfile:
    """The profile of the machine that runs the tests."""
    return device_profiles.detect(identity.this_machine())


@pytest.fixture(scope="session")
def images() -> Array:
    """Four samples for `tiny_onnx`."""
    return np.random.default_rng(1).standard_normal((4, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="session")
def contents(
    tiny_onnx: Path, here: HardwareProfile, images: Array, tmp_path_factory: pytest.TempPathFactory
) -> Contents:
    """Contents of `bundle`; the golden outputs are ONNX Runtime's own, computed without our code."""
    recipe = Recipe("fp32")
    artifact = builder.build(open_model(tiny_onnx), recipe, RuntimeSettings(), tmp_path_factory.mktemp("artifact"))
    scores = ort.InferenceSession(tiny_onnx, providers=["CPUExecutionProvider"]).run(["scores"], {"image": images})[0]
    return Contents(
        "tiny",
        here,
        artifact,
        recipe,
        {"image": images},
        {"scores": scores},
        report='{"note": "none"}',
        calibration={"image": images, "scores": scores},
    )


@pytest.fixture(scope="session")
def bundle(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good bundle; tests that change one copy it."""
    path = tmp_path_factory.mktemp("bundle") / "tiny.edge"
    pack(contents, path)
    return path


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy of its sources so that no build folder is left in the tree."""
    source, out = tmp_path_factory.mktemp("source") / "edgewright", tmp_path_factory.mktemp("wheel")
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in ("profiles", "runtimes", "hwbench", "toolchain"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--wheel-dir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built
