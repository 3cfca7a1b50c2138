"""What to try for a profile: recipe x runtime x settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from runtimes import plugins
from runtimes.artifact import RuntimeSettings
from runtimes.errors import NotInstalledError, UsageError
from runtimes.profile import HardwareProfile, QuantizationScheme
from toolchain.quantize import CORRECTIONS, QUANTIZERS
from toolchain.recipe import Recipe

BUILDERS = "toolchain.builders"
DEFAULT_CALIBRATION = "minmax"
DEFAULT_CORRECTIONS = ("equalization", "smoothing", "tail", "bias")
"""All there are; benchmarks/results/corrections.txt shows what each wins and loses on real models."""


@dataclass(frozen=True)
class Candidate:
    """One thing to try.

    Attributes:
        refusal: why this profile's runtime cannot compute it; None where it can.
    """

    recipe: Recipe
    runtime: str
    settings: RuntimeSettings
    refusal: str | None = None

    @property
    def name(self) -> str:
        """How tables name it."""
        return f"{self.recipe.precision} on {self.runtime}"


def precisions() -> tuple[str, ...]:
    """Every precision there is, the reference first."""
    return ("fp32", *(name for name in plugins.names(QUANTIZERS) if name != "fp32"))


def corrections(wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """The corrections that `--correction` asks for: the default, if empty; "none" alone asks for none.

    Raises:
        UsageError: there is no correction of that name; says which there are.
    """
    if tuple(wanted) == ("none",):
        return ()
    known = plugins.names(CORRECTIONS)
    for name in wanted:
        if name not in known:
            raise UsageError(f"Unknown correction '{name}'; choose from {', '.join(known)}, or none alone.")
    return tuple(dict.fromkeys(wanted)) or DEFAULT_CORRECTIONS


def plan(
    profile: HardwareProfile,
    wanted: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    threads: int | None = None,
    corrections: Sequence[str] = DEFAULT_CORRECTIONS,
) -> tuple[Candidate, ...]:
    """The candidates of a profile.

    Args:
        profile: the device.
        wanted: precisions to try; all, if empty.
        runtimes: runtimes to try; all that the profile lists, if empty.
        threads: in place of the profile's.
        corrections: of int8 with calibrated ranges, in order.

    Raises:
        UsageError: an unknown precision, or a runtime that the profile does not list.
    """
    for precision in wanted:
        if precision not in precisions():
            raise UsageError(f"Unknown precision '{precision}'; choose from {', '.join(precisions())}.")
    for runtime in runtimes:
        if runtime not in profile.runtimes:
            raise UsageError(
                f"Profile {profile.name} has no runtime '{runtime}'; choose from {', '.join(profile.runtimes)}."
            )
    settings = RuntimeSettings(threads or profile.threads)
    tried: list[Candidate] = []
    for runtime in runtimes or profile.runtimes:
        missing = _missing_builder(runtime)
        if missing is not None:
            tried.append(Candidate(Recipe("any"), runtime, settings, missing))
            continue
        for precision in wanted or precisions():
            refusal = _refusal(precision, runtime, profile)
            recipe = _recipe(precision, runtime, profile, corrections)
            tried.append(Candidate(recipe, runtime, settings, refusal))
    return tuple(tried)


def quantizer(precision: str) -> ModuleType:
    """The module that makes a precision; it declares what the precision computes in, and what it needs."""
    return plugins.load(QUANTIZERS, precision, "precision")


def _missing_builder(runtime: str) -> str | None:
    """Why nothing can be built for a runtime: no builder, or its package is not installed."""
    if runtime not in plugins.names(BUILDERS):
        return f"This release of edgewright does not build for {runtime}."
    try:
        plugins.load(BUILDERS, runtime, "runtime")
    except NotInstalledError as error:
        return str(error)
    return None


def _recipe(precision: str, runtime: str, profile: HardwareProfile, corrections: Sequence[str]) -> Recipe:
    module = quantizer(precision)
    method = None if module.NEEDS_RANGES == "no" else DEFAULT_CALIBRATION
    if module.COMPUTES_IN != "int8":
        return Recipe(precision, method)
    scheme = profile.quantization.get(runtime, QuantizationScheme())
    return Recipe(precision, method, scheme, corrections=tuple(corrections) if method else ())


def _refusal(precision: str, runtime: str, profile: HardwareProfile) -> str | None:
    needed = quantizer(precision).COMPUTES_IN
    if needed in profile.precisions[runtime]:
        return None
    detour = (
        f" {precision}-storage halves the file and computes in fp32." if f"{precision}-storage" in precisions() else ""
    )
    return f"{runtime} has no {needed} arithmetic on {profile.name}.{detour}"
