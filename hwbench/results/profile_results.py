"""Results per profile, as report.json holds them: every candidate, its figures, its status and the reason for it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hwbench.budgets.budget import Budget
from hwbench.budgets.outcome import Outcome, worst
from hwbench.budgets.verdicts import Verdict, overall
from hwbench.forecasts.forecast import Forecast
from hwbench.forecasts.held_out_error import HeldOutError
from hwbench.layers.layer_changes import LayerChanges
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.results.unsettled import Unsettled
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.codec import decode, encode
from runtimes.errors import UsageError

SCHEMA_VERSION = 2
"""Version of report.json. History:

1: the first.
2: `fields` became `profiles`, `entries` `candidates`, `ceilings` `peaks`, a verdict's `visible`
   `detectable_change`; the statuses became selected, eligible, rejected, not built and measured.
"""

ENDED_BEFORE_TIMING = "the search ended before it was timed"
"""Reason why a candidate has no latency, on the machine that it is for: nothing says that it is worth shipping."""

Status = Literal["selected", "eligible", "rejected", "not built", "measured"]


@dataclass(frozen=True)
class Screening:
    """Preliminary figures that order the candidates before any of them is scored on the evaluation data.

    Attributes:
        metric: name of the score's metric; empty for a candidate that was rejected before it was scored.
        score: the score on `n` calibration samples; None without one.
        n: number of calibration samples.
        p50_ms: median of a few short measurements, in ms; None where nothing was timed.
        higher_is_better: direction of the score.
    """

    metric: str = ""
    score: float | None = None
    n: int = 0
    p50_ms: float | None = None
    higher_is_better: bool = True


@dataclass(frozen=True)
class CandidateResult:
    """One candidate, its measurements and its status.

    Attributes:
        status: selected; eligible (it meets the budgets, and another is better); rejected (it breaks a budget, or
            another is better in every respect); not built (it could not be built or run); measured (there was no
            choice to make).
        reason: the reason for the status, in one sentence.
        recipe: the recipe that made its precision, as the toolchain wrote it.
        layers: number of its products (Conv, MatMul, Gemm) per precision that they compute in.
        settings: threads and runtime options.
        screening: its preliminary figures; a candidate that was rejected by them has no report.
        forecast: the latency that is expected on a device that is not here, which no budget looks at.
    """

    name: str
    precision: str
    runtime: str
    status: Status
    reason: str
    report: Report | None = None
    verdicts: tuple[Verdict, ...] = ()
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    layers: Mapping[str, int] = dataclasses.field(default_factory=dict)
    screening: Screening | None = None
    settings: RuntimeSettings | None = None
    forecast: Forecast | None = None

    @property
    def outcome(self) -> Outcome:
        """The worst of its verdicts; inconclusive if it was never measured, or the search ended before it was timed."""
        if self.report is None:
            return "inconclusive"
        late = self.report.unmeasured.get("latency") == ENDED_BEFORE_TIMING
        return worst([overall(self.verdicts), "inconclusive" if late else "pass"])


@dataclass(frozen=True)
class Search:
    """The extent of the search for candidates.

    Attributes:
        looks: number of candidates that were scored on the evaluation data, the source among them.
        tried: number of candidates that were measured or scored.
        made: number of candidates that were written to a file; None where it was not counted.
        reused: number of measurements taken over from an earlier build.
        stopped: the reason why the search ended early; None if it did not.
    """

    looks: int
    tried: int
    made: int | None = None
    reused: int = 0
    stopped: str | None = None


@dataclass(frozen=True)
class ProfileResult:
    """All candidates for one device profile.

    Attributes:
        caveats: limits of these figures, one sentence each, such as a device whose latency was not measured.
        bundle: the file that was packed, if one was.
        confidence: the confidence that a verdict on accuracy took; None where nothing was judged.
        unsettled: the candidate that more samples might have selected.
        bundle_sha256: the digest of the bundle's file that a gate measured; empty where it measured none.
        self_test: the last self-test of the gate on the machine that judged, as a clause; empty without one.
        forecast_errors: the errors of its forecasts of latency, by runtime; empty without a forecast.
        layer_changes: the layers that changed against the baseline, where a gate failed on time; else None.
    """

    model: str
    profile: str
    budgets: tuple[Budget, ...]
    candidates: tuple[CandidateResult, ...]
    caveats: tuple[str, ...] = ()
    bundle: Path | None = None
    search: Search | None = None
    confidence: float | None = None
    unsettled: Unsettled | None = None
    self_test: str = ""
    forecast_errors: tuple[HeldOutError, ...] = ()
    bundle_sha256: str = ""
    layer_changes: LayerChanges | None = None

    @property
    def selected(self) -> CandidateResult | None:
        """The candidate that was packed, or the only one measured."""
        return next((each for each in self.candidates if each.status in ("selected", "measured")), None)

    @property
    def outcome(self) -> Outcome:
        """The outcome of the selected candidate; without one, fail if every measured candidate breaks a budget."""
        if self.selected is not None:
            return self.selected.outcome
        measured = [candidate for candidate in self.candidates if candidate.report is not None]
        return "fail" if measured and all(each.outcome == "fail" for each in measured) else "inconclusive"


@dataclass(frozen=True)
class Results:
    """The content of report.json: one result per device profile."""

    schema_version: int
    profiles: tuple[ProfileResult, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of all profiles."""
        return worst(profile.outcome for profile in self.profiles) if self.profiles else "inconclusive"


def of(profiles: Sequence[ProfileResult]) -> Results:
    """Make results of the current schema."""
    return Results(SCHEMA_VERSION, tuple(profiles))


def to_json(results: Results) -> str:
    """Write the text of report.json."""
    return json.dumps(encode(results), indent=1)


def from_json(text: str | bytes, where: str) -> Results:
    """Read report.json.

    Args:
        text: the file's content.
        where: the name of the file in errors.

    Raises:
        UsageError: the text is not JSON, is of another schema, or has a wrong key; says which.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"'{where}' is not a report: {error}.") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"'{where}' follows report schema {version!r}; this release of edgewright reads {SCHEMA_VERSION}. "
            "Measure again to get a current report."
        )
    return decode(Results, data, where)


def pareto(candidates: Sequence[CandidateResult], latency: str = "p50") -> tuple[CandidateResult, ...]:
    """List the candidates that no other one beats on accuracy or latency without losing on the other, fastest first.

    Candidates without both figures are left out.
    """
    figures = [(figure, each) for each in candidates if (figure := _latency_and_loss(each, latency)) is not None]
    front = [
        (figure, candidate)
        for figure, candidate in figures
        if not any(other != figure and other[0] <= figure[0] and other[1] <= figure[1] for other, _ in figures)
    ]
    return tuple(candidate for _, candidate in sorted(front, key=lambda pair: pair[0]))


def _latency_and_loss(candidate: CandidateResult, latency: str) -> tuple[float, float] | None:
    """Return latency and inaccuracy; a lower value of either is better."""
    if candidate.report is None or candidate.report.accuracy is None:
        return None
    sign = -1 if candidate.report.accuracy.higher_is_better else 1
    try:
        figure = candidate.report.estimate(latency).value, sign * candidate.report.accuracy.value
    except NotMeasuredError:
        return None
    return figure if all(map(math.isfinite, figure)) else None
