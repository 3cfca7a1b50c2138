"""Numbers, lists and recipes in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NAMED = 3


def count(number: int, noun: str, plural: str = "") -> str:
    """As in "1 kernel", "1,234 kernels"; `plural` where that is more than an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def some(names: Sequence[str], most: int = _NAMED) -> str:
    """All names, or the first of them: "a, b, c and 4 more"."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def kept(recipe: Mapping[str, Any], most: int | None = _NAMED) -> str:
    """The layers that a recipe keeps in float, by name: "1 kept in fp32: conv2"; empty where it keeps none.

    Args:
        recipe: as a manifest or a report holds it.
        most: names to show; all, if None.
    """
    names = _kept(recipe)
    shown = some(names, len(names) if most is None else most)
    return f"{len(names):,} kept in {recipe.get('keep_in', 'fp32')}: {shown}" if names else ""


def described(precision: str, runtime: str, recipe: Mapping[str, Any]) -> str:
    """A candidate that has no name, by what is known of it: "int8 with 1 layer kept in fp32 on onnxruntime"."""
    names = _kept(recipe)
    if not names:
        return f"{precision} on {runtime}"
    return f"{precision} with {count(len(names), 'layer')} kept in {recipe.get('keep_in', 'fp32')} on {runtime}"


def _kept(recipe: Mapping[str, Any]) -> list[str]:
    names = recipe.get("keep")
    return list(map(str, names)) if isinstance(names, (list, tuple)) else []
