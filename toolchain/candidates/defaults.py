"""Precisions and corrections as users ask for them, and the defaults.

Every --help imports this module, so that it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Sequence

from runtimes.errors import UsageError
from toolchain.corrections import names as correction_names
from toolchain.quantizers import precisions as known_precisions

DEFAULT_CALIBRATION = "minmax"
"""The only method that works with any number of samples: the others need a distribution."""

DEFAULT_CORRECTIONS = ("tail", "rounding", "bias")
"""Corrections that brought int8 closer to float32 on real models, and lowered no score beyond its interval
(benchmarks/results/corrections.txt)."""


def corrections(wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Read `--correction`: the default, if empty; "none" alone asks for none.

    Raises:
        UsageError: there is no correction of that name; the message lists all.
    """
    if tuple(wanted) == ("none",):
        return ()
    known = correction_names()
    for name in wanted:
        if name not in known:
            raise UsageError(f"Unknown correction '{name}'; choose from {', '.join(known)}, or none alone.")
    return tuple(dict.fromkeys(wanted)) or DEFAULT_CORRECTIONS


def precisions(wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Read `--precision`: every precision, if empty.

    Raises:
        UsageError: there is no precision of that name; the message lists all.
    """
    for name in wanted:
        if name not in known_precisions():
            raise UsageError(f"Unknown precision '{name}'; choose from {', '.join(known_precisions())}.")
    return tuple(wanted) or tuple(known_precisions())
