"""A loaded artifact: the one interface over every runtime."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import TypeVar

from runtimes.artifact import Artifact
from runtimes.errors import BackendError
from runtimes.tensors import Array, Feeds, check_feeds

S = TypeVar("S", bound="Session")


class Session(abc.ABC):
    """Runs one artifact. Use it as a context manager.

    A backend implements `_infer` and, if it holds resources, `_release`; the checks are here, so that every
    backend refuses the same mistakes with the same words.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.inputs = artifact.inputs
        self.outputs = artifact.outputs
        self._closed = False

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Infer once.

        Args:
            feeds: an array for every input, of the dtype and shape that `inputs` declares.

        Returns:
            An array for every output.

        Raises:
            FeedError: an array is missing, unknown, or of another dtype or shape.
            BackendError: the session is closed, or the runtime failed; its text is passed on.
        """
        if self._closed:
            raise BackendError("The session is closed; load the bundle again.")
        check_feeds(self.inputs, feeds)
        return self._infer(feeds)

    def __call__(self, /, **feeds: Array) -> dict[str, Array]:
        """`run`, with the inputs' names as keywords."""
        return self.run(feeds)

    def close(self) -> None:
        """Free what the runtime holds. Closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._release()

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abc.abstractmethod
    def _infer(self, feeds: Feeds) -> dict[str, Array]:
        """Infer on feeds that were checked."""

    def _release(self) -> None:  # noqa: B027  # a backend that holds nothing has nothing to free
        """Free what the runtime holds."""
