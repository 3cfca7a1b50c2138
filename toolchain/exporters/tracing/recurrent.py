"""Shapes of recurrent layers while torch traces a model.

torch.onnx keeps LSTM and GRU whole, as ONNX has operators for them. To learn the shapes of their results, it runs them
as loops over the example's steps (pytorch 2.13), so that what follows them would be exported for the example's length.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import torch
from torch._decomp import decomposition_table

_KERNEL = torch._C.DispatchKey.CompositeImplicitAutograd


@contextlib.contextmanager
def recurrent_shapes() -> Iterator[None]:
    """Let torch take the shapes of recurrent layers from their definition."""
    with contextlib.ExitStack() as stack:
        for operator, kernel in ((torch.ops.aten.lstm.input, _lstm), (torch.ops.aten.gru.input, _gru)):
            stack.enter_context(mock.patch.dict(operator.py_kernels, {_KERNEL: kernel}))  # for the trace
            stack.enter_context(mock.patch.dict(decomposition_table, {operator: kernel}))  # for what follows it
        for name in ("register_lstm_while_loop_decomposition", "register_gru_while_loop_decomposition"):
            # Loops for the same purpose in torch 2.13, which the decomposition does not see.
            with contextlib.suppress(AttributeError, ImportError):
                stack.enter_context(mock.patch(f"torch.export._patches.{name}", contextlib.nullcontext))
        yield


def _lstm(
    x: torch.Tensor, states: Sequence[torch.Tensor], *options: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    hidden, cells = states
    output, hidden = _gru(x, hidden, *options)
    return output, hidden, torch.empty_like(cells)


def _gru(x: torch.Tensor, hidden: torch.Tensor, *options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    _, _, _, _, _, bidirectional, _ = options
    width = hidden.shape[2] * (2 if bidirectional else 1)
    return x.new_empty((*x.shape[:2], width)), torch.empty_like(hidden)
