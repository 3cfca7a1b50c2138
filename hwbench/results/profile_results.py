"""The whole field: every candidate, what it measured, and why it was kept or dropped."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Outcome, Verdict, overall
from hwbench.measurements.report import NotMeasuredError, Report
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.codec import decode, encode
from runtimes.errors import UsageError

SCHEMA_VERSION = 1
"""Version of report.json. History: 1, the first."""

Status = Literal["selected", "eligible", "rejected", "not built", "measured"]


@dataclass(frozen=True)
class Screening:
    """What a candidate was ordered by, before the evaluation data was looked at.

    Attributes:
        metric: of the score; empty where it was let go before it was scored.
        score: on `n` calibration samples; None where there is none.
        p50_ms: of a few short measurements; None where nothing was timed.
        higher_is_better: of the score.
    """

    metric: str = ""
    score: float | None = None
    n: int = 0
    p50_ms: float | None = None
    higher_is_better: bool = True


@dataclass(frozen=True)
class CandidateResult:
    """One candidate and what came of it.

    Attributes:
        status: chosen; kept (meets the budgets, another is better); dropped (a budget is broken or beaten
            on every count); skipped (could not be made or run); measured (nothing was to be decided).
        reason: why, in one sentence.
        recipe: how its precision was made, as the toolchain wrote it.
        layers: how many of its products (Conv, MatMul, Gemm) compute in each precision.
        settings: threads and runtime options.
        screening: what it was ordered by; a candidate that was dropped for that has no report.
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

    @property
    def outcome(self) -> Outcome:
        """All its verdicts in one; inconclusive when it was never measured."""
        return overall(self.verdicts) if self.report is not None else "inconclusive"


@dataclass(frozen=True)
class Search:
    """How the candidates were found.

    Attributes:
        looks: how many candidates were scored on the evaluation data, the source among them.
        tried: how many candidates were measured or scored.
        made: how many candidates there was a file of; None in reports of before this was counted.
        reused: measurements that an earlier build had made.
        stopped: why it ended early.
    """

    looks: int
    tried: int
    made: int | None = None
    reused: int = 0
    stopped: str | None = None


@dataclass(frozen=True)
class ProfileResult:
    """All candidates for one profile.

    Attributes:
        caveats: what these figures do not say, such as latency on a device that was not here.
        bundle: the file that was packed, if one was.
    """

    model: str
    profile: str
    budgets: tuple[Budget, ...]
    entries: tuple[CandidateResult, ...]
    caveats: tuple[str, ...] = ()
    bundle: Path | None = None
    search: Search | None = None

    @property
    def selected(self) -> CandidateResult | None:
        """The candidate that was packed, or the only one measured."""
        for entry in self.entries:
            if entry.status in ("selected", "measured"):
                return entry
        return None

    @property
    def outcome(self) -> Outcome:
        """The chosen candidate's; fail where every candidate breaks a budget."""
        if self.selected is not None:
            return self.selected.outcome
        measured = [entry for entry in self.entries if entry.report is not None]
        return "fail" if measured and all(entry.outcome == "fail" for entry in measured) else "inconclusive"


@dataclass(frozen=True)
class Results:
    """What report.json holds: one field per profile."""

    schema_version: int
    fields: tuple[ProfileResult, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of the fields."""
        outcomes = {field.outcome for field in self.fields} or {"inconclusive"}
        return "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"


def of(fields: Sequence[ProfileResult]) -> Results:
    """Results of the current schema."""
    return Results(SCHEMA_VERSION, tuple(fields))


def to_json(results: Results) -> str:
    """The text of report.json."""
    return json.dumps(encode(results), indent=1)


def from_json(text: str | bytes, where: str) -> Results:
    """Read report.json.

    Raises:
        UsageError: it is not JSON, not of this schema, or a key is wrong; says which.
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


def pareto(entries: Sequence[CandidateResult], latency: str = "p50") -> tuple[CandidateResult, ...]:
    """The entries that no other beats on accuracy or latency without losing on the other, fastest first.

    Entries without both figures are left out.
    """
    figures = [(figure, entry) for entry in entries if (figure := _figure(entry, latency)) is not None]
    front = [
        (figure, entry)
        for figure, entry in figures
        if not any(other != figure and other[0] <= figure[0] and other[1] <= figure[1] for other, _ in figures)
    ]
    return tuple(entry for _, entry in sorted(front, key=lambda pair: pair[0]))


def _figure(entry: CandidateResult, latency: str) -> tuple[float, float] | None:
    """Latency and inaccuracy, less of both being better."""
    if entry.report is None or entry.report.accuracy is None:
        return None
    sign = -1 if entry.report.accuracy.higher_is_better else 1
    try:
        figure = entry.report.estimate(latency).value, sign * entry.report.accuracy.value
    except NotMeasuredError:
        return None
    return figure if all(map(math.isfinite, figure)) else None
