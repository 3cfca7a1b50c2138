"""Candidates to try for a profile: recipe x runtime x settings."""

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
from toolchain.candidates.defaults import DEFAULT_CALIBRATION, DEFAULT_CORRECTIONS
from toolchain.candidates.defaults import precisions as asked_precisions
from toolchain.quantizers import precisions, quantizer
from toolchain.recipes.recipe import BEST, Recipe

_HALVES = ("bf16", "fp16")
_ANY = "any"  # the precision of the one candidate that stands for a runtime that nothing can be built for


@dataclass(frozen=True)
class Candidate:
    """A recipe on a runtime with settings. Two candidates are equal if these three are.

    Attributes:
        refusal: the reason why the profile's runtime cannot compute it; None if it can.
        variant: the difference of its settings from the runtime's defaults ("2 threads"); empty if there is none.
        is_marked: its name ends in a digest of its kept nodes; see `marked`.
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
        method = recipe.calibration if recipe.calibration not in (DEFAULT_CALIBRATION, BEST) else None
        base = candidate_name(recipe.precision, self.runtime, recipe.keep_in, len(recipe.keep), method)
        return ", ".join([base, *ends])


def marked(candidate: Candidate, others: Iterable[Candidate]) -> Candidate:
    """Mark a candidate with a digest if another one has its name, such as one that keeps as many other layers."""
    plain = dataclasses.replace(candidate, is_marked=False)
    clashes = any(other.name == plain.name and other != plain for other in others)
    return dataclasses.replace(plain, is_marked=clashes)


def list_candidates(
    profile: HardwareProfile,
    wanted: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    threads: int | None = None,
    corrections: Sequence[str] = DEFAULT_CORRECTIONS,
) -> tuple[Candidate, ...]:
    """List the candidates of a profile, with each runtime's default settings.

    Args:
        profile: the device.
        wanted: precisions to try; all, if empty.
        runtimes: runtimes to try; all that the profile lists, if empty.
        threads: the most threads per inference, in place of the profile's.
        corrections: corrections of int8 with calibrated ranges, in order.

    Raises:
        UsageError: an unknown precision, or a runtime that the profile does not list.
    """
    check_runtimes(profile, runtimes)
    asked = asked_precisions(wanted)
    most = threads or profile.threads
    candidates: list[Candidate] = []
    for runtime in runtimes or profile.runtimes:
        missing = _missing_builder(runtime)
        if missing is not None:
            candidates.append(Candidate(Recipe(_ANY), runtime, RuntimeSettings(most), missing))
            continue
        for precision in asked:
            refusal = _refusal(precision, runtime, profile)
            for recipe in _recipes(precision, runtime, profile, corrections):
                told = {**profile.options.get(runtime, {}), **_float_options(runtime).get(recipe.keep_in, {})}
                settings = RuntimeSettings(most, told)
                candidates.append(Candidate(recipe, runtime, settings, refusal))
    return tuple(candidates)


def check_runtimes(profile: HardwareProfile, runtimes: Sequence[str]) -> None:
    """Check the runtimes that a user names for a profile.

    Raises:
        UsageError: the profile does not list one of them; the message lists those that it does.
    """
    for runtime in runtimes:
        if runtime not in profile.runtimes:
            raise UsageError(
                f"Profile {profile.name} has no runtime '{runtime}'; choose from {', '.join(profile.runtimes)}."
            )


def untried(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Write a sentence for each runtime that nothing can be built for, such as one that is not installed."""
    rows = [candidate for candidate in candidates if candidate.recipe.precision == _ANY]
    return tuple(f"{row.runtime} was not tried: {row.refusal}" for row in rows)


def with_typed_graph(candidate: Candidate) -> Candidate | None:
    """Find the form of a candidate whose graph has each node's precision, so that a recipe can keep nodes in float32.

    Returns:
        The candidate; None if its precision keeps no nodes, or its runtime computes a whole graph in one precision.
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
    """Find the reason why nothing can be built for a runtime: no builder, or a package that is not installed."""
    if runtime not in builders.names():
        return f"This release of edgewright does not build for {runtime}."
    try:
        builder(runtime)
    except NotInstalledError as error:
        return str(error)
    return None


def _recipes(precision: str, runtime: str, profile: HardwareProfile, corrections: Sequence[str]) -> Iterator[Recipe]:
    """Yield the recipes of a precision: alone, and with the float32 nodes in a half precision that the device has."""
    module = quantizer(precision)
    method = {"no": None, "yes": BEST}.get(module.NEEDS_RANGES, DEFAULT_CALIBRATION)
    scheme = profile.quantization.get(runtime, QuantizationScheme()) if module.TAKES_SCHEME else None
    wanted = tuple(corrections) if scheme and method else ()
    told = [half for half in _HALVES if half in _float_options(runtime) and half in profile.precisions[runtime]]
    if precision in _HALVES:  # a runtime that has to be told gains nothing from Casts in the graph, which cost time
        if precision in told:
            yield Recipe(f"{precision}-storage", keep_in=precision)
        else:
            yield Recipe(precision, method)
        return
    other = runtime if precision == "int8" and builder(runtime).FIT_INT8 is not None else None
    recipe = Recipe(precision, method, scheme, corrections=wanted, for_runtime=other)
    yield recipe
    if precision == "int8":
        for half in told:
            yield dataclasses.replace(recipe, keep_in=half)


def _refusal(precision: str, runtime: str, profile: HardwareProfile) -> str | None:
    """Find the reason why a runtime cannot compute a precision on a device; None if it can."""
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
    """Find the options that make a runtime compute float32 nodes in another precision, by that precision."""
    found = _builder_if_any(runtime)
    return found.FLOAT_OPTIONS if found is not None else {}


def _typed_in(runtime: str) -> tuple[str, ...]:
    found = _builder_if_any(runtime)
    return found.TYPED if found is not None else ()


def _builder_if_any(runtime: str) -> Builder | None:
    return builder(runtime) if _missing_builder(runtime) is None else None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
