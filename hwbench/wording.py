"""Numbers, lists and candidates' names in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NAMED = 3


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: "1 kernel", "1,234 kernels".

    Args:
        number: how many.
        noun: its singular.
        plural: the noun's plural, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def some(names: Sequence[str], most: int = _NAMED, *, separator: str = ", ") -> str:
    """List all names, or the first few: "a, b, c and 4 more"; names that hold commas take another separator."""
    more = len(names) - most
    return separator.join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def candidate_name(
    precision: str, runtime: str, float_in: str = "fp32", layers: int = 0, calibration: str | None = None
) -> str:
    """Name a candidate for people: "int8 + bf16, 2 layers in bf16 (openvino)".

    Args:
        precision: the precision's name in recipes.
        runtime: its backend.
        float_in: precision of everything that stays in float.
        layers: how many layers the recipe keeps in float.
        calibration: the calibration method, where it is not the default one.
    """
    parts = [precision if float_in == "fp32" else f"{precision} + {float_in}"]
    parts += [f"{calibration} ranges"] if calibration else []
    parts += [f"{count(layers, 'layer')} in {float_in}"] if layers else []
    return f"{', '.join(parts)} ({runtime})"


def recipe_name(precision: str, runtime: str, recipe: Mapping[str, Any]) -> str:
    """Name a candidate by its recipe alone, as a manifest holds it."""
    return candidate_name(precision, runtime, str(recipe.get("keep_in", "fp32")), len(_kept(recipe)))


def kept(recipe: Mapping[str, Any], most: int | None = _NAMED) -> str:
    """List the layers that a recipe keeps in float: "1 kept in fp32: conv2"; empty where it keeps none.

    Args:
        recipe: the recipe as a manifest or a report holds it.
        most: names to show; all, if None.
    """
    names = _kept(recipe)
    shown = some(names, len(names) if most is None else most)
    return f"{len(names):,} kept in {recipe.get('keep_in', 'fp32')}: {shown}" if names else ""


def _kept(recipe: Mapping[str, Any]) -> list[str]:
    names = recipe.get("keep")
    return list(map(str, names)) if isinstance(names, (list, tuple)) else []
