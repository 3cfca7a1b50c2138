"""The precisions and corrections that users ask for, and the defaults; light, since every --help imports this."""

from __future__ import annotations

from collections.abc import Sequence

from runtimes.errors import UsageError
from toolchain.corrections import names as correction_names
from toolchain.quantizers import precisions as known_precisions

DEFAULT_CALIBRATION = "minmax"

DEFAULT_CORRECTIONS = ("tail", "bias")
"""Corrections that raised a score on real models and lowered none (benchmarks/results/corrections.txt)."""


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


def precisions(wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Read what `--precision` asks for: every precision, if empty.

    Raises:
        UsageError: there is no precision of that name; says which there are.
    """
    for name in wanted:
        if name not in known_precisions():
            raise UsageError(f"Unknown precision '{name}'; choose from {', '.join(known_precisions())}.")
    return tuple(wanted) or tuple(known_precisions())
