"""Silence for torch's exporters."""

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
