"""Silence for torch's exporters, and one line for their errors."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress the exporter's output; its failures arrive as exceptions."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # torch logs tracebacks and prints graphs
    output = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def root_cause(error: BaseException) -> str:
    """Describe the innermost exception in one line, since torch.onnx wraps a model's error several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    line = lines[-1 if "TorchScript interpreter" in lines[0] else 0]  # its reason comes last, after a traceback
    return f"{type(error).__name__}: {line[:300]}"
