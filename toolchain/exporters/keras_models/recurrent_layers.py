"""Recurrent layers of Keras in an export, where their computation must not depend on the example's sizes.

On torch, Keras computes recurrent layers in loops that fix the number of steps, and often the batch. In an export, LSTM
and GRU become torch's operators, which ONNX has as well, and any number of steps is right. Others become loops over the
example's steps, right at any batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

_Result = tuple[torch.Tensor, torch.Tensor, Any]
"""The last output, all outputs, and the states, as Keras' `RNN.inner_loop` returns them."""

Operator = Callable[[Any, torch.Tensor, Sequence[torch.Tensor]], _Result]


def inner_loop(loop: Callable[..., _Result], operator: Operator | None) -> Callable[..., _Result]:
    """Replace `RNN.inner_loop` in exports; elsewhere it is the original.

    Args:
        loop: the original.
        operator: what a layer of the usual configuration computes; None if torch has no such operator.
    """

    def replaced(layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool | None = False) -> _Result:
        if not torch.compiler.is_exporting():
            return loop(layer, sequences, initial_state, mask, training=training)
        states = initial_state if isinstance(initial_state, (list, tuple)) else [initial_state]
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if layer.go_backwards:
            sequences, mask = _flipped(sequences), None if mask is None else mask.flip(1)
        if operator is None or not _fits_operator(layer, mask):
            return _steps(layer, sequences, states, mask)
        dtype = layer.cell.kernel.value.dtype
        sequences, states = sequences.to(dtype), [state.to(dtype) for state in states]
        return operator(layer, sequences, states) if mask is None else _masked(layer, operator, sequences, states, mask)

    return replaced


def _flipped(sequences: Any) -> Any:
    from keras import tree

    return tree.map_structure(lambda each: each.flip(1), sequences)


def _fits_operator(layer: Any, mask: torch.Tensor | None) -> bool:
    """Tell whether a layer computes what the operator does."""
    from keras import activations

    return (
        layer.activation is activations.tanh
        and layer.recurrent_activation is activations.sigmoid
        and getattr(layer, "reset_after", True)
        and (mask is None or not layer.return_state)
    )


def lstm(layer: Any, sequences: torch.Tensor, states: Sequence[torch.Tensor]) -> _Result:
    """Compute a layer from its first states, hidden and carry, by torch's LSTM."""
    cell = layer.cell
    weights = [cell.kernel.value.T, cell.recurrent_kernel.value.T]  # the gates are in torch's order
    if cell.use_bias:
        weights += [cell.bias.value, torch.zeros_like(cell.bias.value)]
    first = [state[None] for state in states]
    outputs, hidden, carry = torch.lstm(sequences, first, weights, cell.use_bias, 1, 0.0, False, False, True)
    return outputs[:, -1], outputs, [hidden[0], carry[0]]


def gru(layer: Any, sequences: torch.Tensor, states: Sequence[torch.Tensor]) -> _Result:
    """Compute a layer from its first state by torch's GRU."""
    cell = layer.cell
    weights = [_reset_first(cell.kernel.value).T, _reset_first(cell.recurrent_kernel.value).T]
    if cell.use_bias:
        weights += list(_reset_first(cell.bias.value))
    outputs, hidden = torch.gru(sequences, states[0][None], weights, cell.use_bias, 1, 0.0, False, False, True)
    return outputs[:, -1], outputs, [hidden[0]]


def _reset_first(weights: torch.Tensor) -> torch.Tensor:
    """Put the gates of a GRU in torch's order: Keras has update, reset, new along the last axis."""
    update, reset, new = weights.chunk(3, dim=-1)
    return torch.cat([reset, update, new], dim=-1)


def _masked(
    layer: Any, operator: Operator, sequences: torch.Tensor, states: Sequence[torch.Tensor], mask: torch.Tensor
) -> _Result:
    """Run an operator on the steps that count, moved to the front, and give each step the output of the latest of them.

    A step that does not count leaves the state as it is, so what follows the last one that does changes nothing.
    """
    place = torch.arange(mask.shape[1])
    front = torch.where(mask, place, place + mask.shape[1]).sort(1).indices
    _, outputs, after = operator(layer, torch.gather(sequences, 1, _expanded(front, sequences.shape[2])), states)
    so_far = mask.to(torch.int64).cumsum(1)
    latest = torch.gather(outputs, 1, _expanded((so_far - 1).clamp(min=0), outputs.shape[2]))
    counts = mask if layer.zero_output_for_mask else so_far > 0
    held = torch.where(counts[..., None], latest, 0.0)
    return held[:, -1], held, after  # the states are not those of the last step that counts; nothing reads them


def _expanded(indices: torch.Tensor, width: int) -> torch.Tensor:
    return indices[..., None].expand(-1, -1, width)


def _steps(layer: Any, sequences: Any, states: Any, mask: torch.Tensor | None) -> _Result:
    """Unroll a layer; that of Keras takes the size of the example's batch for a constant."""
    from keras import tree

    outputs: list[Any] = []
    for step in range(tree.flatten(sequences)[0].shape[1]):
        now = tree.map_structure(lambda each, step=step: each[:, step], sequences)
        output, after = layer.cell(now, states)
        after = after if isinstance(after, (list, tuple)) else [after]
        if mask is not None:
            before = outputs[-1] if outputs and not layer.zero_output_for_mask else torch.zeros_like(output)
            output = _where(mask[:, step], output, before)
            after = tree.map_structure(lambda new, old, step=step: _where(mask[:, step], new, old), after, list(states))
        outputs.append(output)
        states = after
    return outputs[-1], torch.stack(outputs, 1), states


def _where(mask: torch.Tensor, new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    return torch.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)
