"""TensorRT's log. TensorRT takes one logger per process, so that logger passes messages on to all listeners."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import Any

_MOST_CHARACTERS = 2_000
_ERRORS = ("ERROR", "INTERNAL_ERROR")
_listeners: list[Messages] = []
_last_errors: deque[str] = deque(maxlen=8)  # recorded always, since an inference has no time to add a listener
_lock = threading.Lock()


class Messages:
    """Messages of TensorRT while a listener was active, as (severity, text)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def of(self, *severities: str) -> tuple[str, ...]:
        """Return the texts of some severities, each once, in order."""
        return tuple(dict.fromkeys(text for severity, text in self.lines if severity in severities))

    @property
    def errors(self) -> str:
        """All errors in one line, for the text of an exception."""
        return _one_line(self.of(*_ERRORS))


def last_errors() -> str:
    """Return the errors since the last call, in one line."""
    with _lock:
        texts = tuple(dict.fromkeys(_last_errors))
        _last_errors.clear()
    return _one_line(texts)


@contextlib.contextmanager
def listening() -> Iterator[Messages]:
    """Collect TensorRT's messages of all threads inside the `with`."""
    messages = Messages()
    with _lock:
        _listeners.append(messages)
    try:
        yield messages
    finally:
        with _lock:
            _listeners.remove(messages)


@cache
def logger(trt: Any) -> Any:
    """Return the process's logger for `tensorrt` or `tensorrt_rtx`."""

    class Logger(trt.ILogger):  # type: ignore[misc]  # the module is an argument
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            with _lock:
                if severity.name in _ERRORS:
                    _last_errors.append(text)
                for messages in _listeners:
                    messages.lines.append((severity.name, text))

    return Logger()


def _one_line(texts: tuple[str, ...]) -> str:
    text = "; ".join(" ".join(text.split()) for text in texts)
    return text[:_MOST_CHARACTERS] or "TensorRT gave no reason"
