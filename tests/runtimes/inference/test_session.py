"""Behaviour of every session, whatever its backend: checks, closing, calling."""

from __future__ import annotations

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from runtimes.bundles.manifest import Artifact
from runtimes.errors import BackendError, FeedError
from runtimes.inference.session import Session
from runtimes.tensors import Array, Feeds, TensorSpec


class Doubling(Session):
    """Returns its inputs, doubled; counts what it was asked for."""

    calls = 0
    releases = 0

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        self.calls += 1
        return {name: np.asarray(array + array) for name, array in feeds.items()}

    def _release(self) -> None:
        self.releases += 1


class Careless(Session):
    """Holds nothing, and fails."""

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        raise BackendError("out of memory")


@pytest.fixture
def session(artifact: Artifact) -> Doubling:
    specs = (TensorSpec("a", "float32", ("N", 2)), TensorSpec("b", "float32", ("N",)))
    return Doubling(dataclasses.replace(artifact, inputs=specs, outputs=specs))


@pytest.fixture
def feeds() -> dict[str, Array]:
    return {"a": np.ones((3, 2), np.float32), "b": np.ones(3, np.float32)}


def test_specs_are_the_artifact_s(session: Session) -> None:
    assert session.inputs == session.artifact.inputs
    assert session.outputs == session.artifact.outputs


def test_running_and_calling_are_the_same(session: Session, feeds: dict[str, Array]) -> None:
    for outputs in (session.run(feeds), session(**feeds)):
        np.testing.assert_array_equal(outputs["a"], np.full((3, 2), 2, np.float32))


def test_an_input_may_be_named_self(artifact: Artifact) -> None:
    specs = (TensorSpec("self", "bool", ()),)
    assert Doubling(dataclasses.replace(artifact, inputs=specs, outputs=specs))(self=np.array(False)) == {"self": 0}


@pytest.mark.parametrize(
    ("declared", "returned"),
    [
        (TensorSpec("a", "float32", (1, "N")), r"output 'a' of shape \[3, 2\]; declared is a=float32\[1,N\]"),
        (TensorSpec("a", "float32", ("M", "N")), r"of shape \[3, 2\]; declared is a=float32\[M,N\], .* N = 3"),
        (TensorSpec("a", "float32", ("N",)), r"of shape \[3, 2\]; declared is a=float32\[N\], .* N = 3"),
        (TensorSpec("a", "float16", ("N", 2)), r"output 'a' as float32; declared is a=float16\[N,2\]"),
    ],
)
def test_outputs_that_are_not_as_declared_are_refused(
    session: Session, feeds: dict[str, Array], declared: TensorSpec, returned: str
) -> None:
    session.outputs = (declared,)
    with pytest.raises(BackendError, match=returned):
        session.run(feeds)
    assert session.stats().errors == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": np.ones((3, 2))}, "Input 'a' is float64; expected float32."),
        ({"a": np.ones((3, 3), np.float32)}, r"Input 'a' has shape \[3, 3\]; expected \[N, 2\]\."),
        ({"b": np.ones(4, np.float32)}, r"Input 'b' has shape \[4\]; expected \[N\], where .* N = 3\."),
        ({"b": 1.0}, r"Input 'b' is a float; pass a NumPy array of b=float32\[N\]\."),
        ({"c": np.ones(3)}, r"Inputs unknown 'c'; the model takes a=float32\[N,2\], b=float32\[N\]\."),
    ],
)
def test_bad_feeds_do_not_reach_the_backend(
    session: Doubling, feeds: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(FeedError, match=message):
        session.run({**feeds, **change})
    assert session.calls == 0
    session.run(feeds)  # and the session goes on


def test_missing_feeds(session: Doubling, feeds: dict[str, Array]) -> None:
    del feeds["a"]
    with pytest.raises(FeedError, match="Inputs missing 'a'; the model takes"):
        session(**feeds)
    with pytest.raises(FeedError, match="Inputs missing 'a', 'b'; the model takes"):
        session.run({})


def test_a_closed_session_says_so(session: Doubling, feeds: dict[str, Array]) -> None:
    session.close()
    with pytest.raises(BackendError, match=r"^The session is closed; load the bundle again.$"):
        session.run(feeds)
    assert session.calls == 0


def test_closing_twice_releases_once(session: Doubling) -> None:
    session.close()
    session.close()
    with session:
        pass
    assert session.releases == 1


def test_the_context_closes_even_on_errors(artifact: Artifact, session: Doubling) -> None:
    with session as same:
        assert same is session
    assert session.releases == 1
    failing = Doubling(artifact)
    with pytest.raises(FeedError), failing:
        failing.run({})
    assert failing.releases == 1


def test_a_backend_that_holds_nothing_needs_no_release(artifact: Artifact, images: Array) -> None:
    with Careless(artifact) as session, pytest.raises(BackendError, match="out of memory"):
        session.run({"image": images})


def test_a_backend_must_infer(artifact: Artifact) -> None:
    with pytest.raises(TypeError, match="abstract"):
        Session(artifact)  # type: ignore[abstract]


class Serial(Doubling):
    """Stands one thread at a time, and notices another."""

    serial = True
    inside = overlaps = 0

    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        self.inside += 1
        time.sleep(1e-3)
        self.overlaps += self.inside > 1
        self.inside -= 1
        return super()._infer(feeds)

    def _release(self) -> None:
        self.overlaps += self.inside > 0
        super()._release()


def test_a_serial_backend_is_entered_by_one_thread_at_a_time(artifact: Artifact) -> None:
    specs = (TensorSpec("x", "float32", (2,)),)
    session = Serial(dataclasses.replace(artifact, inputs=specs, outputs=specs))
    x = {"x": np.ones(2, np.float32)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: session.run(x), range(40)))
        running = [pool.submit(session.run, x) for _ in range(8)]
        session.close()
        outcomes = [future.exception() for future in running]
    assert session.overlaps == 0
    assert session.releases == 1
    assert all(outcome is None or "closed" in str(outcome) for outcome in outcomes)
    assert session.stats().calls == 48
