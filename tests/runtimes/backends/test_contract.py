"""Contract of every backend that is installed: the same tests, whatever computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hwbench.machine import device_profiles
from runtimes import plugins
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.errors import BackendError, FeedError, NotInstalledError, TamperedError, UnsupportedError
from runtimes.inference.session import Session
from runtimes.tensors import Array
from toolchain.engines.build_target import BuildTarget
from toolchain.models.onnx_model import open_model
from toolchain.recipes.recipe import Recipe


@pytest.fixture(scope="module", params=plugins.names("runtimes.backends"))
def backend(request: pytest.FixtureRequest) -> ModuleType:
    """Each backend there is a file for; skips where its package is missing."""
    try:
        return plugins.load("runtimes.backends", request.param, "runtime")
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def built(backend: ModuleType, contents: object, tiny_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny model as this backend loads it; the null runtime takes anything."""
    name = backend.__name__.rpartition(".")[2].replace("_", "-")
    builder = name if name in plugins.names("toolchain.builders") else "onnxruntime"
    if builder != name and name != "null":
        pytest.skip(f"The toolchain has no builder for {name}.")
    build = plugins.load("toolchain.builders", builder, "runtime").build
    try:
        out, device = tmp_path_factory.mktemp(name), BuildTarget(device_profiles.load("rtx-5090"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EDGEWRIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
            artifact = build(open_model(tiny_onnx), Recipe("fp32"), RuntimeSettings(), out, device)
    except (NotInstalledError, UnsupportedError) as error:
        pytest.skip(str(error))
    return dataclasses.replace(artifact, runtime=name)


def load(backend: ModuleType, artifact: Artifact) -> Session:
    try:
        session: Session = backend.load(artifact, artifact.file.read_bytes())
    except UnsupportedError as error:
        pytest.skip(str(error))  # a runtime that is installed on a machine without its hardware
    return session


@pytest.fixture
def session(backend: ModuleType, built: Artifact) -> Iterator[Session]:
    with load(backend, built) as opened:
        yield opened


def test_it_tells_its_version(backend: ModuleType) -> None:
    assert isinstance(backend.version(), str)
    assert backend.version()[0].isdigit()


def test_its_sessions_carry_the_artifact(session: Session, built: Artifact) -> None:
    assert session.artifact == built
    assert (session.inputs, session.outputs) == (built.inputs, built.outputs)


@pytest.mark.parametrize("n", [1, 3, 4])
def test_outputs_are_as_declared(session: Session, images: Array, n: int) -> None:
    outputs = session.run({"image": images[:n]})
    assert list(outputs) == [spec.name for spec in session.outputs]
    for spec in session.outputs:
        assert isinstance(outputs[spec.name], np.ndarray)
        assert outputs[spec.name].dtype.name == spec.dtype
        assert outputs[spec.name].shape == spec.resolve({"N": n})


def test_equal_inputs_give_equal_outputs(session: Session, images: Array) -> None:
    first = session.run({"image": images})["scores"]
    np.testing.assert_array_equal(session.run({"image": images.copy()})["scores"], first)


def test_a_batch_is_the_same_as_its_samples(session: Session, images: Array) -> None:
    together = session.run({"image": images})["scores"]
    alone = np.concatenate([session.run({"image": images[i : i + 1]})["scores"] for i in range(len(images))])
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)


def test_outputs_belong_to_the_caller(session: Session, images: Array) -> None:
    first = session.run({"image": images})["scores"]
    kept = first.copy()
    session.run({"image": images + 1})
    np.testing.assert_array_equal(first, kept)  # a later run writes elsewhere
    first[:] = 7  # and the caller may write to it
    np.testing.assert_array_equal(session.run({"image": images})["scores"], kept)


def test_outputs_are_written_into_the_caller_s_arrays(session: Session, images: Array) -> None:
    expected = session.run({"image": images})["scores"]
    out = {"scores": np.full_like(expected, 7)}
    assert session.run({"image": images}, out)["scores"] is out["scores"]
    np.testing.assert_array_equal(out["scores"], expected)
    session.run({"image": images + 1})
    np.testing.assert_array_equal(out["scores"], expected)
    with pytest.raises(FeedError, match="scores"):
        session.run({"image": images}, {"scores": expected[:1]})


def test_inputs_are_left_as_they_were(session: Session, images: Array) -> None:
    given = images.copy()
    given.setflags(write=False)
    session.run({"image": given})
    np.testing.assert_array_equal(given, images)


def test_inputs_may_lie_in_memory_as_they_like(session: Session, images: Array) -> None:
    expected = session.run({"image": images})["scores"]
    wide = np.zeros((8, 3, 8, 16), np.float32)
    wide[::2, :, :, ::2] = images
    for same in (np.asfortranarray(images), wide[::2, :, :, ::2], images[::-1].copy()[::-1]):
        assert not same.flags.c_contiguous
        np.testing.assert_array_equal(session.run({"image": same})["scores"], expected)


def test_its_sessions_refuse_what_does_not_fit(session: Session, images: Array) -> None:
    for bad in (
        {},
        {"picture": images},
        {"image": images, "mask": images},
        {"image": images.astype(np.float64)},
        {"image": images.astype(">f4")},
        {"image": images[:, :2]},
        {"image": images[0]},
        {"image": images.tolist()},
    ):
        with pytest.raises(FeedError, match="image"):
            session.run(bad)
    assert session.run({"image": images})["scores"].shape == (4, 5)


def test_a_closed_session_refuses_to_run(backend: ModuleType, built: Artifact, images: Array) -> None:
    with load(backend, built) as session:
        session.run({"image": images})
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.run({"image": images})


def test_sessions_do_not_share_state(backend: ModuleType, built: Artifact, session: Session, images: Array) -> None:
    expected = session.run({"image": images})["scores"]
    with load(backend, built) as other:
        other.run({"image": images * 2})
    np.testing.assert_array_equal(session.run({"image": images})["scores"], expected)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_any_number_of_threads_computes_the_same(
    backend: ModuleType, built: Artifact, session: Session, images: Array, threads: int
) -> None:
    expected = session.run({"image": images})["scores"]
    with load(backend, dataclasses.replace(built, settings=RuntimeSettings(threads))) as other:
        np.testing.assert_allclose(other.run({"image": images})["scores"], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
@pytest.mark.parametrize("change", ["name", "dtype", "axes", "one more"])
def test_a_model_that_is_not_the_declared_one_is_refused_when_it_is_loaded(
    backend: ModuleType, built: Artifact, kind: str, change: str
) -> None:
    if not backend.__name__.endswith(("onnxruntime", "openvino")):
        pytest.skip("The null runtime has no model to compare with, and an engine needs a GPU.")
    (spec,) = getattr(built, kind)
    changed = {
        "name": (dataclasses.replace(spec, name="other"),),
        "dtype": (dataclasses.replace(spec, dtype="float64"),),
        "axes": (dataclasses.replace(spec, shape=(*spec.shape, 1)),),
        "one more": (spec, dataclasses.replace(spec, name="other")),
    }[change]
    declared = dataclasses.replace(built, **{kind: changed})
    with pytest.raises(TamperedError, match="manifest declares"):
        backend.load(declared, built.file.read_bytes())
