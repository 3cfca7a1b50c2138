"""Functions of torch that are other names of a function, by which torch.onnx does not know all of it.

It promotes types for `mul` and not for `multiply`, so that `torch.multiply(x, torch.tensor(2))` becomes a product of a
float and an integer, which ONNX does not have (pytorch 2.13). Keras writes `x * 2` that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_PRIMARY = {
    "multiply": "mul",
    "subtract": "sub",
    "divide": "div",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "not_equal": "ne",
}
_FUNCTIONS = {
    getattr(owner, alias): getattr(owner, primary)
    for owner in (torch, torch.Tensor)
    for alias, primary in _PRIMARY.items()
}


class PrimaryNames(TorchFunctionMode):
    """Calls of a function by an alias become calls by its primary name, inside a `with`."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function."""
        return _FUNCTIONS.get(func, func)(*args, **(kwargs or {}))
