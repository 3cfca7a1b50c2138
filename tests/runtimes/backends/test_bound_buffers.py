"""ONNX Runtime: small arrays by way of bound buffers, large ones bound where they are."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from runtimes.backends import onnxruntime as backend
from runtimes.bundles.input_limits import InputLimits
from runtimes.bundles.manifest import Artifact
from runtimes.errors import BackendError, FeedError
from runtimes.inference.session import Session
from runtimes.tensors import Array, TensorSpec

Opens = Callable[..., Session]
SHAPES = [(1, 16), (200, 300)]  # one is copied into buffers, the other is more than is copied


@pytest.fixture
def opens(artifact: Artifact) -> Opens:
    """A session of y = a - b."""

    def load(*shapes: tuple[int, ...]) -> Session:
        specs = [TensorSpec(name, "float32", shape) for name, shape in zip(("a", "b", "y"), shapes)]
        infos = [helper.make_tensor_value_info(spec.name, TensorProto.FLOAT, spec.shape) for spec in specs]
        graph = helper.make_graph([helper.make_node("Sub", ["a", "b"], ["y"])], "sub", infos[:2], infos[2:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        declared = dataclasses.replace(
            artifact, file=Path("sub.onnx"), inputs=tuple(specs[:2]), outputs=tuple(specs[2:])
        )
        onnx.checker.check_model(model)
        return backend.load(declared, model.SerializeToString())

    return load


@pytest.fixture(params=SHAPES, ids=["small", "large"])
def shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    found: tuple[int, ...] = request.param
    return found


@pytest.fixture
def session(opens: Opens, shape: tuple[int, ...]) -> Iterator[Session]:
    with opens(shape, shape, shape) as opened:
        yield opened


def feeds_of(shape: tuple[int, ...], seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float32) for name in ("a", "b")}


def test_small_arrays_are_bound_once_and_large_ones_are_not(opens: Opens) -> None:
    small, large = (opens(shape, shape, shape) for shape in SHAPES)
    small.run(feeds_of(SHAPES[0]))
    large.run(feeds_of(SHAPES[1]))
    assert small._run_bound(feeds_of(SHAPES[0])) is not None
    assert large._run_bound(feeds_of(SHAPES[1])) is None


def test_the_first_shapes_that_come_are_bound(opens: Opens) -> None:
    with opens(("N", 16), ("N", 16), ("N", 16)) as session:
        for rows in (2, 3, 2):
            feeds = feeds_of((rows, 16), rows)
            np.testing.assert_array_equal(session.run(feeds)["y"], feeds["a"] - feeds["b"])
        assert session._run_bound(feeds_of((2, 16))) is not None
        assert session._run_bound(feeds_of((3, 16))) is None


def test_an_output_whose_size_is_computed_is_not_bound(opens: Opens) -> None:
    with opens(("N", 4), (1, 4), ("M", 4)) as session:
        session.run({"a": np.ones((2, 4), np.float32), "b": np.ones((1, 4), np.float32)})
        assert session._run_bound({"a": np.ones((2, 4), np.float32), "b": np.ones((1, 4), np.float32)}) is None


def test_an_output_that_is_not_of_the_size_that_its_file_declares(artifact: Artifact) -> None:
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("x", "y")]
    nodes = [helper.make_node("Unique", ["x"], ["y"], axis=0)]  # as many rows as differ, not N
    graph = helper.make_graph(nodes, "unique", infos[:1], infos[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    specs = [TensorSpec(name, "float32", ("N", 2)) for name in ("x", "y")]
    declared = dataclasses.replace(artifact, file=Path("u.onnx"), inputs=(specs[0],), outputs=(specs[1],))
    with backend.load(declared, model.SerializeToString()) as session:
        different, equal = ({"x": np.array(rows, np.float32)} for rows in ([[1, 1], [2, 2]], [[5, 5], [5, 5]]))
        np.testing.assert_array_equal(session.run(different)["y"], different["x"])
        for _ in range(2):  # over bound buffers, and without
            with pytest.raises(BackendError, match=r"output 'y' of shape \[1, 2\]; declared is y=float32\[N,2\]"):
                session.run(equal)
        assert session._run_bound(different) is None
        assert session.stats().errors == 2


def test_a_failed_run_over_bound_buffers_says_why(artifact: Artifact) -> None:
    infos = [helper.make_tensor_value_info(name, TensorProto.INT64, [1]) for name in ("x", "y")]
    table = helper.make_tensor("table", TensorProto.INT64, [2], [5, 6])
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])], "table", infos[:1], infos[1:], [table]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    specs = [TensorSpec(name, "int64", (1,)) for name in ("x", "y")]
    declared = dataclasses.replace(artifact, file=Path("t.onnx"), inputs=(specs[0],), outputs=(specs[1],))
    with backend.load(declared, model.SerializeToString()) as session:
        assert session.run({"x": np.array([1])})["y"] == [6]
        with pytest.raises(BackendError, match="out of data bounds"):
            session.run({"x": np.array([7])})
        assert session.run({"x": np.array([0])})["y"] == [5]
        assert session._run_bound({"x": np.array([1])}) is not None

    limited = dataclasses.replace(declared, limits=InputLimits(rows={"x": 2}))
    with backend.load(limited, model.SerializeToString()) as session:
        session.run({"x": np.array([1])})
        with pytest.raises(FeedError, match="holds 7, and the table that it indexes has 2 rows"):
            session.run({"x": np.array([7])})


@pytest.fixture
def identity(artifact: Artifact) -> Callable[[str, tuple[int, ...]], Session]:
    """A session of y = x."""

    def load(dtype: str, shape: tuple[int, ...]) -> Session:
        kind = TensorProto.STRING if dtype == "object" else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        infos = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", infos[:1], infos[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        specs = [TensorSpec(name, dtype, shape) for name in ("x", "y")]
        declared = dataclasses.replace(artifact, file=Path("i.onnx"), inputs=(specs[0],), outputs=(specs[1],))
        return backend.load(declared, model.SerializeToString())

    return load


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)], ids=str)
@pytest.mark.parametrize("dtype", ["bool", "float16", "float64", "int8", "uint64"])
def test_arrays_of_any_number_and_size_are_bound(
    identity: Callable[[str, tuple[int, ...]], Session], dtype: str, shape: tuple[int, ...]
) -> None:
    with identity(dtype, shape) as session:
        for value in (1, 0, 1):
            feeds = {"x": np.full(shape, value, dtype)}
            bound, y = session._run_bound(feeds), session.run(feeds)["y"]
            np.testing.assert_array_equal(y, feeds["x"])
            assert (y.dtype, y.shape) == (feeds["x"].dtype, shape)
        assert bound is not None


def test_a_first_array_from_another_process_does_not_keep_later_ones_from_the_buffers(
    identity: Callable[[str, tuple[int, ...]], Session],
) -> None:
    x = np.ones((2, 3), np.float32)
    with identity("float32", (2, 3)) as session:
        session.run({"x": pickle.loads(pickle.dumps(x))})
        assert session._run_bound({"x": x}) is not None


def test_text_is_written_where_the_caller_wants_it(identity: Callable[[str, tuple[int, ...]], Session]) -> None:
    x, y = np.array(["a", "b"], object), np.array(["", ""], object)
    with identity("object", (2,)) as session:
        assert session.run({"x": x}, {"y": y})["y"] is y
    assert y.tolist() == ["a", "b"]


def test_large_outputs_are_written_without_a_copy(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = SHAPES[1]
    feeds, y = feeds_of(shape), np.zeros(shape, np.float32)
    with opens(shape, shape, shape) as session:
        monkeypatch.setattr(session, "_infer", lambda feeds: pytest.fail("it made new arrays"))
        session.run(feeds, {"y": y})
    np.testing.assert_array_equal(y, feeds["a"] - feeds["b"])


def test_no_later_run_writes_to_what_was_returned(session: Session, shape: tuple[int, ...]) -> None:
    first, second = feeds_of(shape, 1), feeds_of(shape, 2)
    outputs = [session.run(first)["y"], session.run(second)["y"], session.run(first)["y"]]
    for feeds, y in zip((first, second, first), outputs):
        np.testing.assert_array_equal(y, feeds["a"] - feeds["b"])
    assert not any(np.shares_memory(outputs[0], other) for other in outputs[1:])


def test_a_refused_or_failed_call_leaves_the_buffers_to_the_next(session: Session, shape: tuple[int, ...]) -> None:
    feeds = feeds_of(shape)
    for bad in ({"a": feeds["a"]}, {**feeds, "b": feeds["b"].astype(np.float64)}, {"a": feeds["a"], "c": feeds["b"]}):
        with pytest.raises(FeedError):
            session.run(bad)
    np.testing.assert_array_equal(session.run(feeds)["y"], feeds["a"] - feeds["b"])
    assert session.stats().errors == 3


def test_threads_do_not_see_each_other_s_arrays(session: Session, shape: tuple[int, ...]) -> None:
    every = [feeds_of(shape, seed) for seed in range(8)]

    def work(feeds: dict[str, Array]) -> bool:
        expected, out = feeds["a"] - feeds["b"], {"y": np.empty(shape, np.float32)}
        return all(np.array_equal(session.run(feeds, out if i % 3 == 0 else None)["y"], expected) for i in range(60))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, every))
    assert session.stats().calls == 8 * 60


def test_closing_while_others_run_frees_the_buffers(session: Session, shape: tuple[int, ...]) -> None:
    feeds = feeds_of(shape)

    def work(_: int) -> None:
        for _ in range(10_000):
            np.testing.assert_array_equal(session.run(feeds)["y"], feeds["a"] - feeds["b"])

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(work, i) for i in range(4)]
        session.run(feeds)
        session.close()
        failures = [future.exception() for future in running]
    assert all(isinstance(failure, BackendError) and "closed" in str(failure) for failure in failures)
    assert not getattr(session, "_idle", [])


@pytest.mark.parametrize("layout", ["C", "F"])
def test_outputs_are_written_into_the_caller_s_arrays(session: Session, shape: tuple[int, ...], layout: str) -> None:
    feeds = {name: np.asfortranarray(array) for name, array in feeds_of(shape).items()}
    y = np.zeros(shape, np.float32, order="C" if layout == "C" else "F")
    assert session.run(feeds, {"y": y})["y"] is y
    np.testing.assert_array_equal(y, feeds["a"] - feeds["b"])
    session.run(feeds_of(shape, 5))
    np.testing.assert_array_equal(y, feeds["a"] - feeds["b"])  # a later run without it leaves it alone


def test_a_scalar_stays_a_scalar(opens: Opens) -> None:
    feeds = {"a": feeds_of(SHAPES[1])["a"], "b": np.array(2, np.float32)}
    y = np.zeros(SHAPES[1], np.float32)
    with opens(SHAPES[1], (), SHAPES[1]) as session:
        session.run(feeds, {"y": y})
    np.testing.assert_array_equal(y, feeds["a"] - 2)


def test_arrays_that_outputs_cannot_be_written_into(session: Session, shape: tuple[int, ...]) -> None:
    feeds = feeds_of(shape)
    fixed = np.zeros(shape, np.float32)
    fixed.flags.writeable = False
    before = feeds["a"].copy()
    for out, reason in (
        ({}, "`out` must be a dict"),
        ({"y": np.zeros(shape, np.float32), "z": fixed}, "`out` must be a dict"),
        ({"y": np.zeros(shape)}, "is float64"),
        ({"y": np.zeros((*shape, 1), np.float32)}, "pass an array of y="),
        ({"y": fixed}, "read-only"),
        ({"y": feeds["a"]}, "shares memory"),
        ({"y": feeds["b"][::-1]}, "shares memory"),
    ):
        with pytest.raises(FeedError, match=reason):
            session.run(feeds, out)
    np.testing.assert_array_equal(feeds["a"], before)
