"""Defaults of int8 candidates, apart from what makes them, so that a command's --help reads them at no cost."""

from __future__ import annotations

from collections.abc import Sequence

from runtimes.errors import UsageError
from toolchain.corrections import names as correction_names

DEFAULT_CALIBRATION = "minmax"

DEFAULT_CORRECTIONS = ("equalization", "smoothing", "tail", "bias")
"""Every correction there is; benchmarks/results/corrections.txt shows what each gains and loses on real models."""


def corrections(wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Read what `--correction` asks for: the default, if empty; "none" alone asks for none.

    Raises:
        UsageError: there is no correction of that name; says which there are.
    """
    if tuple(wanted) == ("none",):
        return ()
    known = correction_names()
    for name in wanted:
        if name not in known:
            raise UsageError(f"Unknown correction '{name}'; choose from {', '.join(known)}, or none alone.")
    return tuple(dict.fromkeys(wanted)) or DEFAULT_CORRECTIONS
