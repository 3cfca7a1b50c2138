"""Candidates of a profile: recipe x runtime x settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hwbench.wording import candidate_name
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import NotInstalledError, UsageError
from runtimes.profile import HardwareProfile, QuantizationScheme
from toolchain import builders
from toolchain.builders import Builder, builder
from toolchain.corrections import names as correction_names
from toolchain.quantizers import precisions, quantizer
from toolchain.recipes.recipe import Recipe

DEFAULT_CALIBRATION = "minmax"
_HALVES = ("bf16", "fp16")
_ANY = "any"  # of the one row of a runtime that nothing is built for
DEFAULT_CORRECTIONS = ("tail", "bias")
"""Corrections that raised a score on real models and lowered none (benchmarks/results/corrections.txt)."""


@dataclass(frozen=True)
class Candidate:
    """One recipe on one runtime with its settings. Two are equal where recipe, runtime and settings are.

    Attributes:
        refusal: why this profile's runtime cannot compute it; None where it can.
        variant: how its settings differ from those it started with ("2 threads"); empty where they do not.
        is_marked: whether its name ends with a digest, since another candidate of the build has the same name.
    """

    recipe: Recipe
    runtime: str
    settings: RuntimeSettings
    refusal: str | None = field(default=None, compare=False)
    variant: str = field(default="", compare=False)
    is_marked: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """Name for people, as in "int8, 1 layer in fp32 (onnxruntime), 2 threads"; see `marked` for two of one name."""
        recipe, ends = self.recipe, [self.variant] if self.variant else []
        if self.is_marked:
            ends.append(f"set {_digest(recipe.keep)[:4]}")
        method = recipe.calibration if recipe.calibration != DEFAULT_CALIBRATION else None
        base = candidate_name(recipe.precision, self.runtime, recipe.keep_in, len(recipe.keep), method)
        return ", ".join([base, *ends])


def marked(candidate: Candidate, others: Iterable[Candidate]) -> Candidate:
    """Mark a candidate with a digest where a different one has its name, such as another set of as many layers."""
    plain = dataclasses.replace(candidate, is_marked=False)
    clashes = any(other.name == plain.name and other != plain for other in others)
    return dataclasses.replace(plain, is_marked=clashes)


def corrections(wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """The corrections that `--correction` asks for: the default, if empty; "none" alone asks for none.

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


def plan(
    profile: HardwareProfile,
    wanted: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    threads: int | None = None,
    corrections: Sequence[str] = DEFAULT_CORRECTIONS,
) -> tuple[Candidate, ...]:
    """The candidates of a profile, at each runtime's own defaults.

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
    most = threads or profile.threads
    trial: list[Candidate] = []
    for runtime in runtimes or profile.runtimes:
        missing = _missing_builder(runtime)
        if missing is not None:
            trial.append(Candidate(Recipe(_ANY), runtime, RuntimeSettings(most), missing))
            continue
        for precision in wanted or precisions():
            refusal = _refusal(precision, runtime, profile)
            for recipe in _recipes(precision, runtime, profile, corrections):
                told = {**profile.options.get(runtime, {}), **_float_options(runtime).get(recipe.keep_in, {})}
                settings = RuntimeSettings(most, told)
                trial.append(Candidate(recipe, runtime, settings, refusal))
    return tuple(trial)


def untried(plan: Sequence[Candidate]) -> tuple[str, ...]:
    """Sentences on the runtimes of a plan that nothing can be built for, such as one that is not installed."""
    rows = [candidate for candidate in plan if candidate.recipe.precision == _ANY]
    return tuple(f"{row.runtime} was not tried: {row.refusal}" for row in rows)


def typed(candidate: Candidate) -> Candidate | None:
    """The candidate in which the graph says what each node computes in, so that a recipe can keep some in float.

    None where its precision keeps none, or its runtime computes all of a graph in what it is told.
    """
    recipe, half = candidate.recipe, candidate.recipe.keep_in
    if recipe.precision in ("int8", *_HALVES):
        return candidate
    if not recipe.precision.endswith("-storage") or half not in _typed_in(candidate.runtime):
        return None
    told = _float_options(candidate.runtime)[half]
    options = {name: value for name, value in candidate.settings.options.items() if name not in told}
    method = None if quantizer(half).NEEDS_RANGES == "no" else DEFAULT_CALIBRATION
    settings = RuntimeSettings(candidate.settings.threads, options)
    return dataclasses.replace(candidate, recipe=Recipe(half, method), settings=settings)


def _missing_builder(runtime: str) -> str | None:
    """Why nothing can be built for a runtime: no builder, or its package is not installed."""
    if runtime not in builders.names():
        return f"This release of edgewright does not build for {runtime}."
    try:
        builder(runtime)
    except NotInstalledError as error:
        return str(error)
    return None


def _recipes(precision: str, runtime: str, profile: HardwareProfile, corrections: Sequence[str]) -> Iterator[Recipe]:
    """A precision as the graph says it, and with what stays float32 there computed in a half, where that is faster."""
    module = quantizer(precision)
    method = None if module.NEEDS_RANGES == "no" else DEFAULT_CALIBRATION
    scheme = profile.quantization.get(runtime, QuantizationScheme()) if module.TAKES_SCHEME else None
    wanted = tuple(corrections) if scheme and method else ()
    told = [half for half in _HALVES if half in _float_options(runtime) and half in profile.precisions[runtime]]
    if precision in _HALVES:  # the graph's own Casts cost more than they tell, and the runtime has to be told anyway
        if precision in told:
            yield Recipe(f"{precision}-storage", keep_in=precision)
        else:
            yield Recipe(precision, method)
        return
    yield Recipe(precision, method, scheme, corrections=wanted)
    if precision == "int8":
        for half in told:
            yield Recipe(precision, method, scheme, keep_in=half, corrections=wanted)


def _refusal(precision: str, runtime: str, profile: HardwareProfile) -> str | None:
    found = _builder_if_any(runtime)
    if found is not None and precision in found.REFUSED:
        return found.REFUSED[precision]
    needed = quantizer(precision).COMPUTES_IN
    if needed in profile.precisions[runtime]:
        return None
    detour = (
        f" {precision}-storage makes the file smaller and computes in fp32."
        if f"{precision}-storage" in precisions()
        else ""
    )
    return f"{runtime} has no {needed} arithmetic on {profile.name}.{detour}"


def _float_options(runtime: str) -> Mapping[str, Mapping[str, str]]:
    """By precision, what makes a runtime compute float32 nodes in it."""
    found = _builder_if_any(runtime)
    return found.FLOAT_OPTIONS if found is not None else {}


def _typed_in(runtime: str) -> tuple[str, ...]:
    found = _builder_if_any(runtime)
    return found.TYPED if found is not None else ()


def _builder_if_any(runtime: str) -> Builder | None:
    return builder(runtime) if _missing_builder(runtime) is None else None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
