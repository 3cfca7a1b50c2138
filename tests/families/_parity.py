"""Inputs of a family at several sizes, with what its module computes from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.utils import _pytree as pytree

from runtimes.tensors import Array, Feeds, TensorSpec
from toolchain.sources.sizes import other_sizes, resized, sizes_of


def cases(module: nn.Module, specs: Sequence[TensorSpec], feeds: Feeds) -> Iterator[tuple[Feeds, list[Array]]]:
    """Yield an input as it is and resized, as far as the module accepts it, and the module's outputs."""
    own = sizes_of(specs, feeds)
    tried: list[dict[str, int]] = []
    for sizes in [own, *(other_sizes(specs, own) if own else ())]:
        if sizes not in tried:
            tried.append(sizes)
            fed = resized(specs, feeds, sizes)
            outputs = _outputs(module, [fed[spec.name] for spec in specs])
            if outputs is not None:
                yield fed, outputs


def _outputs(module: nn.Module, arguments: Sequence[Array]) -> list[Array] | None:
    try:
        with torch.no_grad():
            outputs = module(*map(torch.from_numpy, arguments))
    except (RuntimeError, IndexError):  # it has a longest input, or takes multiples of a stride
        return None
    return [leaf.numpy() for leaf in pytree.tree_leaves(outputs)]
