"""Roofline of each candidate in words: the least time that this machine needs, as a share of the latency."""

from __future__ import annotations

from hwbench.formats.sections.rows import label, show
from hwbench.measurements.peaks import Peaks, rate_text
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.measurements.roofline import roofline
from hwbench.results.profile_results import ProfileResult
from hwbench.wording import count

_IMPOSSIBLE = (
    ", which is impossible: a peak was measured too low, perhaps on a busy machine (edgewright profiles --peaks "
    "--fresh measures again), or the work was counted too high"
)


def rooflines(result: ProfileResult) -> tuple[tuple[str, str], ...]:
    """Describe each candidate's roofline: "p50 4.1 ms, roofline 1.3 ms (compute-bound), 32%", or why there is none.

    Candidates without a request for a roofline, such as a gate's, are left out.
    """
    asked = [
        (candidate, candidate.report)
        for candidate in result.candidates
        if candidate.report is not None and _is_asked(candidate.report)
    ]
    return tuple((label(candidate), _roofline_text(report)) for candidate, report in asked)


def peaks(result: ProfileResult) -> tuple[str, ...]:
    """Describe the machine's peaks that the rooflines use, a sentence per number of threads."""
    reports = (candidate.report for candidate in result.candidates)
    found = {report.peaks.threads: report.peaks for report in reports if report and report.peaks}
    return tuple(_described(found[threads]) for threads in sorted(found))


def _is_asked(report: Report) -> bool:
    return report.latency is not None and (report.peaks is not None or "peaks" in report.unmeasured)


def _roofline_text(report: Report) -> str:
    try:
        found = roofline(report)
    except NotMeasuredError as reason:
        return f"none: {reason}"
    p50_ms = found.time_ms / found.share
    times = f"p50 {show('p50', p50_ms)} ms, roofline {show('p50', found.time_ms)} ms"
    return f"{times} ({found.bound}-bound), {_percent(found.share)}" + (_IMPOSSIBLE if found.share > 1 else "")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _described(peaks: Peaks) -> str:
    threads = count(peaks.threads, "thread")
    rates = [f"{name} {rate_text(name, rate)}" for name, rate in peaks.operations_per_s.items()]
    memory = peaks.memory[-1:]
    read = [f"memory {each.bytes_per_s / 1e9:,.0f} GB/s" for each in memory]
    return f"with {threads}: {', '.join([*rates, *read])}"
