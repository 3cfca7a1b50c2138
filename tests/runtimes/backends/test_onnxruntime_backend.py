"""ONNX Runtime: that it computes the model, its options, and its failures."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from runtimes.backends import onnxruntime as backend
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import BackendError, UnsupportedError, UsageError
from runtimes.inference.session import Session
from runtimes.tensors import Array, TensorSpec
from toolchain.packaging.pack import Contents


def load(artifact: Artifact, **options: str) -> Session:
    settings = RuntimeSettings(options=options)
    return backend.load(dataclasses.replace(artifact, settings=settings), artifact.file.read_bytes())


def test_it_computes_the_model(contents: Contents, images: Array) -> None:
    with load(contents.artifact) as session:
        scores = session.run({"image": images})["scores"]
    np.testing.assert_allclose(scores, contents.golden_outputs["scores"], rtol=1e-5, atol=1e-6)


def by_numpy(model: onnx.ModelProto, images: Array) -> Array:
    """Conv, Relu, Gemm, without a runtime."""
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    features = np.einsum("nchwij,ocij->nohw", patches, weights["conv.weight"])
    active = np.maximum(features + weights["conv.bias"][:, None, None], 0)
    return np.asarray(active.reshape(len(images), -1) @ weights["fc.weight"].T + weights["fc.bias"])


def test_golden_outputs_are_the_model_s(contents: Contents, images: Array) -> None:
    expected = by_numpy(onnx.load(contents.artifact.file), images)
    np.testing.assert_allclose(contents.golden_outputs["scores"], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [("graph_optimization", level) for level in ("disable", "basic", "extended", "all")]
    + [(switch, value) for switch in ("spinning", "arena", "qdq_cleanup") for value in "01"],
)
def test_options_change_how_it_runs_and_not_what_it_computes(
    contents: Contents, images: Array, name: str, value: str
) -> None:
    with load(contents.artifact, **{name: value}) as session:
        scores = session.run({"image": images})["scores"]
    np.testing.assert_allclose(scores, contents.golden_outputs["scores"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "value"), [("graph_optimization", "most"), ("spinning", "yes"), ("speed", "11")])
def test_options_it_does_not_have(artifact: Artifact, name: str, value: str) -> None:
    with pytest.raises(UsageError) as error:
        load(artifact, **{name: value})
    assert str(error.value) == (
        f"ONNX Runtime has no option {name}={value}; choose graph_optimization=disable|basic|extended|all, "
        "spinning=0|1, qdq_cleanup=0|1, arena=0|1, cpu_fallback=0|1 or provider=cpu|cuda|tensorrt."
    )


@pytest.mark.parametrize(("provider", "name"), [("cuda", "CUDA"), ("tensorrt", "Tensorrt")])
def test_a_provider_that_this_build_has_not(artifact: Artifact, provider: str, name: str) -> None:
    if f"{name}ExecutionProvider" in ort.get_available_providers():
        pytest.skip("This ONNX Runtime has it.")
    with pytest.raises(UnsupportedError) as error:
        load(artifact, provider=provider)
    assert str(error.value).startswith(f"This ONNX Runtime has no {name}ExecutionProvider, only ")
    assert str(error.value).endswith("install onnxruntime-gpu in place of onnxruntime.")


def test_a_silent_fallback_to_the_cpu_is_an_error(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime leaves out a provider that it cannot start, and says so in its log alone."""
    claimed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: claimed)
    with pytest.warns(UserWarning, match="not in available provider names"), pytest.raises(BackendError) as error:
        load(artifact, provider="cuda", cpu_fallback="1")
    assert "cannot start its CUDAExecutionProvider and would run on CPUExecutionProvider" in str(error.value)


def test_nodes_on_the_cpu_are_fine_where_the_cpu_was_asked_for(contents: Contents, images: Array) -> None:
    with load(contents.artifact, provider="cpu", cpu_fallback="0") as session:
        assert session.run({"image": images})["scores"].shape == (4, 5)


@pytest.mark.parametrize("model", [b"", b"no model", b"\x08\x07" * 100])
def test_models_it_cannot_load(artifact: Artifact, model: bytes) -> None:
    with pytest.raises(BackendError, match=f"^ONNX Runtime cannot load '{artifact.file}': "):
        backend.load(artifact, model)


def test_a_truncated_model(artifact: Artifact) -> None:
    model = artifact.file.read_bytes()
    with pytest.raises(BackendError, match="cannot load"):
        backend.load(artifact, model[: len(model) // 2])


def test_a_failure_while_running_passes_the_runtime_s_text_on(artifact: Artifact) -> None:
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        "reshape",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("shape", TensorProto.INT64, [2]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["A", "B"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    reshaping = dataclasses.replace(
        artifact,
        inputs=(TensorSpec("x", "float32", ("N",)), TensorSpec("shape", "int64", (2,))),
        outputs=(TensorSpec("y", "float32", ("A", "B")),),
    )
    with backend.load(reshaping, model.SerializeToString()) as session:
        x = np.arange(6, dtype=np.float32)
        assert session.run({"x": x, "shape": np.array([2, 3])})["y"].shape == (2, 3)
        with pytest.raises(BackendError, match=r"^ONNX Runtime failed in .*[Rr]eshape"):
            session.run({"x": x, "shape": np.array([4, 4])})
        assert session.run({"x": x, "shape": np.array([3, 2])})["y"].shape == (3, 2)  # and it goes on
