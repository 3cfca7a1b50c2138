"""Results of a module: its tensors, with the names that the module itself gives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from runtimes.errors import UsageError

_NOT_TENSORS = (type(None), bool, int, float, complex, str, bytes, torch.SymInt, torch.SymFloat, torch.SymBool)


def named_tensors(result: Any) -> list[tuple[str, torch.Tensor]]:
    """List the tensors of a result in order, each with its path: dict keys and fields, or positions in a tuple.

    A path is joined with dots, as in `hidden.0`. A tensor alone is `output`, and those of a tuple are `output_0` and so
    on. Numbers, strings and None are left out.

    Raises:
        UsageError: the result, or a part of it, is of a type that cannot be taken apart.
    """
    if isinstance(result, torch.Tensor):
        return [("output", result)]
    found = list(_leaves(result, ()))
    return [(_name(path), tensor) for path, tensor in found]


def _name(path: Sequence[str | int]) -> str:
    named = f"output_{path[0]}" if isinstance(path[0], int) else path[0]
    return ".".join([named, *map(str, path[1:])])


def _leaves(result: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], torch.Tensor]]:
    if isinstance(result, torch.Tensor):
        yield path, result
    elif not isinstance(result, _NOT_TENSORS):
        for key, part in _parts(result):
            yield from _leaves(part, (*path, key))


def _parts(result: Any) -> list[tuple[str | int, Any]]:
    """Take one container apart."""
    if isinstance(result, Mapping):  # Hugging Face's ModelOutput, too, which leaves out fields that are None
        return [(str(key), part) for key, part in result.items()]
    if hasattr(result, "_fields"):  # NamedTuple, and torch.return_types do not have it
        return list(zip(result._fields, result))
    if isinstance(result, (list, tuple)):
        return list(enumerate(result))
    if dataclasses.is_dataclass(result):
        return [(field.name, getattr(result, field.name)) for field in dataclasses.fields(result)]
    layers = getattr(result, "layers", None)  # of Hugging Face's caches
    if layers and all(hasattr(layer, "keys") and hasattr(layer, "values") for layer in layers):
        return [(index, {"key": layer.keys, "value": layer.values}) for index, layer in enumerate(layers)]
    leaves, structure = pytree.tree_flatten(result)
    if structure.is_leaf():
        kind = type(result).__name__
        remedy = " Switch caches off with `config.use_cache = False`." if "Cache" in kind else ""
        raise UsageError(f"`forward` returns a {kind}; return tensors, alone or in a tuple, dict or dataclass.{remedy}")
    return list(enumerate(leaves))
