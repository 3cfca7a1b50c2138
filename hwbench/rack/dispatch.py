"""Calls by name: the one function that a scheduler reads, too, so that it needs edgewright and none of its extras."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def name_of(function: Callable[..., object]) -> str:
    """Name a function of a module, as `call` finds it: "hwbench.rack.worker_tasks:sample"."""
    return f"{function.__module__}:{function.__qualname__}"


def call(name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Call a function by its name on the worker that runs this.

    Raises:
        ImportError: its package is not installed there.
    """
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)(*arguments, **keywords)
