"""OpenVINO: that it computes the model in the precision it is told, its options, its failures, and its silence."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import BackendError, UsageError
from runtimes.inference.session import Session
from runtimes.tensors import Array, TensorSpec
from toolchain.packaging.pack import Contents

pytest.importorskip("openvino", reason="openvino is not installed")
from runtimes.backends import openvino as backend


def load(artifact: Artifact, **options: str) -> Session:
    settings = RuntimeSettings(options=options)
    return backend.load(dataclasses.replace(artifact, settings=settings), artifact.file.read_bytes())


def test_it_computes_the_model_in_float32_if_not_told_otherwise(contents: Contents, images: Array) -> None:
    with load(contents.artifact) as session:
        scores = session.run({"image": images})["scores"]
    np.testing.assert_allclose(scores, contents.golden_outputs["scores"], rtol=1e-4, atol=1e-5)


def test_bf16_computes_nearly_the_same_and_where_the_cpu_has_it_not_the_same(contents: Contents, images: Array) -> None:
    expected = contents.golden_outputs["scores"]
    with load(contents.artifact, inference_precision="bf16") as session:
        scores = session.run({"image": images})["scores"]
    error = np.linalg.norm(scores - expected) / np.linalg.norm(expected)
    assert error < 3e-2  # bfloat16 keeps 8 bits
    has_bf16 = "BF16" in pytest.importorskip("openvino").Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert (error > 1e-5) == has_bf16  # elsewhere OpenVINO computes in float32 and does not say so


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu_pinning", "0"), ("cpu_pinning", "1"), ("inference_precision", "f32")]
    + [("static_shapes", value) for value in ("first", "each", "none")],
)
def test_options_change_how_it_runs_and_not_what_it_computes(
    contents: Contents, images: Array, name: str, value: str
) -> None:
    with load(contents.artifact, **{name: value}) as session:
        scores = session.run({"image": images})["scores"]
    np.testing.assert_allclose(scores, contents.golden_outputs["scores"], rtol=1e-4, atol=1e-5)


def test_its_cache_holds_compiled_models(contents: Contents, images: Array, tmp_path: Path) -> None:
    for _ in range(2):  # the second comes out of the cache: the form of these shapes, as no other came
        with load(contents.artifact, cache_dir=str(tmp_path)) as session:
            scores = session.run({"image": images})["scores"]
        np.testing.assert_allclose(scores, contents.golden_outputs["scores"], rtol=1e-4, atol=1e-5)
        assert len(list(tmp_path.glob("*.blob"))) == 1


@pytest.mark.parametrize("static_shapes", ["first", "each", "none"])
def test_every_shape_is_computed_by_one_form_always(contents: Contents, images: Array, static_shapes: str) -> None:
    expected = contents.golden_outputs["scores"]
    with load(contents.artifact, static_shapes=static_shapes) as session:
        first = {n: session.run({"image": images[:n]})["scores"] for n in (2, 1, 4)}
        for n, scores in first.items():
            np.testing.assert_allclose(scores, expected[:n], rtol=1e-4, atol=1e-5)
        for n in (4, 2, 1, 2, 4):
            np.testing.assert_array_equal(session.run({"image": images[:n]})["scores"], first[n])


@pytest.fixture(params=[64, 64 << 10], ids=["small", "large"])
def doubling(request: pytest.FixtureRequest, artifact: Artifact, tmp_path: Path) -> Iterator[Session]:
    """x + x, of dynamic shape; at the larger size, its output is written into a new array in every run."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", request.param]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    specs = [TensorSpec(name, "float32", ("N", request.param)) for name in "xy"]
    there = dataclasses.replace(artifact, inputs=(specs[0],), outputs=(specs[1],))
    with backend.load(there, model.SerializeToString()) as session:
        yield session


def test_no_later_run_writes_to_what_was_returned(doubling: Session) -> None:
    size = doubling.inputs[0].resolve({})[1]
    feeds = [np.random.default_rng(seed).random((rows, size), np.float32) for seed, rows in enumerate((1, 1, 2, 1, 2))]
    results = [doubling.run({"x": x})["y"] for x in feeds]
    for x, y in zip(feeds, results):
        np.testing.assert_array_equal(y, x + x)
        assert y.flags.writeable


def test_arrays_that_openvino_cannot_share_are_copied(doubling: Session) -> None:
    size = doubling.inputs[0].resolve({})[1]
    wide = np.random.default_rng(0).random((1, 2 * size), np.float32)
    fixed = wide[:, :size].copy()
    fixed.flags.writeable = False
    for x in (wide[:, ::2], fixed):
        np.testing.assert_array_equal(doubling.run({"x": x})["y"], x + x)


@pytest.mark.parametrize(("name", "value"), [("inference_precision", "f8"), ("cpu_pinning", "yes"), ("speed", "11")])
def test_options_it_does_not_have(artifact: Artifact, name: str, value: str) -> None:
    with pytest.raises(UsageError) as error:
        load(artifact, **{name: value})
    assert str(error.value) == (
        f"OpenVINO has no option {name}={value}; choose inference_precision=f32|bf16|f16, cpu_pinning=0|1, "
        "static_shapes=first|each|none or cache_dir=FOLDER."
    )


@pytest.mark.parametrize("model", [b"", b"no model", b"\x08\x07" * 100])
def test_models_it_cannot_load(artifact: Artifact, model: bytes) -> None:
    with pytest.raises(BackendError, match=f"^OpenVINO cannot load '{artifact.file}': Unable to read the model"):
        backend.load(artifact, model)


def test_a_model_of_texts_is_the_declared_one_and_cannot_run(artifact: Artifact) -> None:
    infos = [helper.make_tensor_value_info(name, TensorProto.STRING, ["N"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", infos[:1], infos[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x, y = (TensorSpec(name, "object", ("N",)) for name in ("x", "y"))
    session = backend.load(dataclasses.replace(artifact, inputs=(x,), outputs=(y,)), model.SerializeToString())
    with pytest.raises(BackendError, match="Unsupported data type"):
        session.run({"x": np.array(["a"], object)})


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signal stacks are looked at on Linux alone")
def test_sessions_that_are_closed_in_any_order_leave_the_stack_for_signals(artifact: Artifact) -> None:
    class Stack(ctypes.Structure):
        _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    def stack() -> tuple[int | None, int]:
        found = Stack()
        ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
        return found.address, found.flags

    before = stack()
    first, second = load(artifact), load(artifact)
    assert stack() == before
    first.close()
    second.close()
    del first, second
    gc.collect()
    assert stack()[0] in (before[0], None)  # none at all is safe, and that of a model that is gone is not


def test_it_reports_its_use_to_nobody() -> None:
    program = (
        "import sys, threading, runtimes.backends.openvino\n"
        "print(*(name for name in sys.modules if 'telemetry' in name and not name.startswith('openvino.')))\n"
        "print(threading.active_count())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["", "1"], done.stderr


def test_first_loads_in_several_threads_do_not_wait_for_each_other() -> None:
    """OpenVINO 2026.4 fills a table at its first question for a dtype, and hung in each of six tries like this."""
    code = """
import os, sys, threading
from runtimes.backends import openvino as backend
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)
def ask():
    barrier.wait()
    backend.ov.Type.i64.to_dtype()
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
