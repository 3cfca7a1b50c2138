"""Sessions: one interface to a loaded model over every runtime."""

from __future__ import annotations

import abc
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from time import perf_counter_ns
from types import TracebackType
from typing import ClassVar, TypeVar

import numpy as np

from runtimes.bundles.distribution import Distribution
from runtimes.bundles.manifest import Artifact
from runtimes.errors import BackendError, FeedError
from runtimes.inference.drift import DriftMonitor
from runtimes.inference.empty_inputs import empty_outputs
from runtimes.inference.stats import Recorder, Stats
from runtimes.inference.stream import Stream
from runtimes.tensors import Array, Feeds, check_feeds, check_out, check_outputs

S = TypeVar("S", bound="Session")


class Session(abc.ABC):
    """A loaded artifact that runs inferences. Several threads may use it; it is a context manager.

    A backend implements `_infer` and, if it holds resources, `_release`. Checks and statistics are in this class, so
    that every backend refuses the same mistakes with the same words. Several threads may call `_infer` at once, and
    `_release` while one of them is inside; a backend whose runtime does not allow this sets `serial`, and this class
    then lets in one thread at a time. A backend may override `_infer_into` to write into the caller's arrays without a
    copy, and `_run_bound` to save checks and lookups for arrays that fit buffers bound in an earlier call.

    Attributes:
        serial: whether the runtime allows only one inference at a time.
        on_gpu: whether the runtime computes on a GPU.
    """

    serial: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = False

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.inputs = artifact.inputs
        self.outputs = artifact.outputs
        self._limits = artifact.limits or None  # comparing with None is fast
        self._turn = threading.Lock() if self.serial else nullcontext()
        self.monitor_drift({})
        self._closed = False

    def run(self, feeds: Feeds, out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Infer once.

        Args:
            feeds: an array for every input, of the dtype and shape that `inputs` declares.
            out: arrays to write the outputs into, one for every output; None makes new arrays.

        Returns:
            An array for every output, in the order of `outputs`. No later run writes to these arrays.

        Raises:
            FeedError: an array is missing, unknown, or of another dtype or shape; or it is beyond the model's limits.
            BackendError: the session is closed; the runtime failed, and its text is passed on; or it returned an output
                of another dtype or shape than `outputs` declares.
        """
        start = perf_counter_ns()
        try:
            outputs = self._run_bound(feeds) if out is None else None
            if outputs is None:
                outputs = self._run_checked(feeds, out)
        except BaseException:
            self._recorder.fail()
            raise
        pending = self._pending
        pending.append(perf_counter_ns() - start)
        if len(pending) >= self._recorder.batch:
            self._recorder.count(feeds, outputs)
        return outputs

    def __call__(self, /, **feeds: Array) -> dict[str, Array]:
        """Infer once, with the inputs' names as keywords; see `run`."""
        return self.run(feeds)

    def stream(self, initial: Mapping[str, Array] | None = None) -> Stream:
        """Begin a sequence of steps whose states are fed back.

        Args:
            initial: states before the first step, by input; zeros for those that it lacks.

        Raises:
            FeedError: the model has no states, or `initial` names none of them.
        """
        if not self.artifact.states:
            raise FeedError("The model has no states to feed back; build it with --state OUTPUT=INPUT, or use run.")
        return Stream(self.run, self.inputs, self.outputs, self.artifact.states, initial)

    def stats(self) -> Stats:
        """Return calls, errors, latency and drift since the session was loaded."""
        return self._recorder.stats()

    def monitor_drift(self, references: Mapping[str, Distribution]) -> None:
        """Start to compare values of some calls with calibration's; statistics start again from zero."""
        self._recorder = Recorder(DriftMonitor(references) if references else None)
        self._pending = self._recorder.pending

    def close(self) -> None:
        """Free the runtime's resources. Closing twice is harmless."""
        if not self._closed:
            self._closed = True
            with self._turn:
                self._release()

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abc.abstractmethod
    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        """Infer on checked feeds; return new arrays in the order of `outputs`."""

    def _infer_into(self, feeds: Feeds, out: Mapping[str, Array]) -> dict[str, Array]:
        """Infer on checked feeds, into checked arrays that share no memory with the feeds.

        Raises:
            FeedError: an output has another shape than the array for it.
        """
        return _copied(self._infer(feeds), out)

    def _release(self) -> None:  # noqa: B027  # a backend that holds nothing has nothing to free
        """Free the runtime's resources."""

    def _run_bound(self, feeds: Feeds) -> dict[str, Array] | None:
        """Infer with buffers that an earlier call bound; None if the feeds do not fit them, for `run` to check them."""
        return None

    def _run_checked(self, feeds: Feeds, out: Mapping[str, Array] | None) -> dict[str, Array]:
        with self._turn:
            if self._closed:
                raise BackendError("The session is closed; load the bundle again.")
            sizes = check_feeds(self.inputs, feeds)
            if self._limits is not None:
                self._limits.check(feeds, sizes)
            if out is not None:
                check_out(self.outputs, out, feeds)
            empty = None
            if 0 in sizes.values():
                empty = empty_outputs(self.artifact, sizes)
            if empty is not None:
                outputs = empty if out is None else _copied(empty, out)
            else:
                outputs = self._infer(feeds) if out is None else self._infer_into(feeds, out)
        check_outputs(self.outputs, outputs, sizes)
        return outputs


def _copied(outputs: Mapping[str, Array], out: Mapping[str, Array]) -> dict[str, Array]:
    """Copy outputs into the caller's arrays, and return these."""
    for name, array in outputs.items():
        if out[name].shape != array.shape:
            raise FeedError(
                f"Output '{name}' has shape {list(array.shape)}; the array for it has {list(out[name].shape)}."
            )
    for name, array in outputs.items():
        np.copyto(out[name], array)
    return {name: out[name] for name in outputs}
