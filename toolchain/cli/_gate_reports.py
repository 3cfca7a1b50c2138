"""Reports for `edgewright gate`: reading stored ones, and making the results that the command shows."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from pathlib import Path

import numpy as np

from hwbench.budgets.baseline import judge_report
from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict
from hwbench.gate import kept_self_test
from hwbench.gate.disagreement import of_instructions_and_time
from hwbench.gate.gate import Gated
from hwbench.machine.identity import Machine
from hwbench.measurements import interleaved
from hwbench.measurements.quantities import QUANTITIES
from hwbench.measurements.report import Report
from hwbench.results import profile_results
from hwbench.results.opened_bundle import open_bundle
from hwbench.results.profile_results import CandidateResult, ProfileResult, Results, Status
from hwbench.targets import Target
from runtimes.bundles.bundle import Bundle
from runtimes.errors import UsageError
from runtimes.npz import write as write_npz
from runtimes.verification.golden import largest_error, relative_error


def judge_stored(candidate: Path, baseline: Path | None, limits: tuple[Budget, ...], confidence: float) -> Gated:
    """Judge a report.json by the samples it holds, perhaps against another one.

    Raises:
        UsageError: a file is missing or holds no selected candidate, or the baseline is a bundle.
    """
    report = read(candidate)
    if baseline is not None and baseline.suffix != ".json":
        raise UsageError(
            f"'{candidate}' is a report, and '{baseline}' a bundle that would be measured now; give the candidate's "
            "bundle, or a report.json as --baseline."
        )
    other = read(baseline) if baseline is not None else None
    return Gated(report, other, judge_report(report, limits, other, confidence))


def read(path: Path) -> Report:
    """Read the selected candidate's report from a report.json of one profile.

    Raises:
        UsageError: the file is missing, is no report, or holds several profiles or no selected candidate.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' cannot be read: {error}.") from None
    profiles = profile_results.from_json(text, str(path)).profiles
    if len(profiles) != 1:
        raise UsageError(f"'{path}' holds {len(profiles)} profiles; gate one bundle of them instead.")
    selected = profiles[0].selected
    if selected is None or selected.report is None:
        raise UsageError(f"'{path}' holds no selected candidate to judge.")
    return dataclasses.replace(selected.report, candidate=selected.report.candidate or selected.name)


def caveats(candidate: Path, baseline: Path | None, limits: tuple[Budget, ...]) -> tuple[str, ...]:
    """Write the caveat of a comparison with figures that were measured at another time."""
    of_machine = any(limit.relative and QUANTITIES[limit.quantity].of_machine for limit in limits)
    if baseline is None or baseline.suffix != ".json" or not of_machine:
        return ()
    which = "The two reports" if candidate.suffix == ".json" else "The candidate and the baseline's report"
    return (
        f"{which} were measured at different times, and their runs were not interleaved: a change of the machine in "
        "between counts as a change of the model. Gate two bundles to measure them side by side.",
    )


def disagreement(gated: Gated) -> tuple[str, ...]:
    """Tell that instructions and time disagree; nothing if they do not, or were not both limited."""
    counts = gated.candidate.instructions
    return of_instructions_and_time(gated.verdicts, counts.by) if counts is not None else ()


def compared_outputs(candidate: Path, baseline: Path, here: Target, there: Target) -> tuple[str, ...]:
    """Run the candidate's golden samples on both sides, and tell how far the outputs are apart.

    Raises:
        BackendError: a bundle could not be run.
    """
    item = open_bundle(candidate)
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        inputs = Path(work, "inputs.npz")
        write_npz(inputs, item.inputs)
        ours = interleaved.outputs(candidate, inputs, here)
        theirs = interleaved.outputs(baseline, inputs, there)
    if ours.keys() != theirs.keys():
        return (f"The candidate's outputs are {', '.join(ours)}, and the baseline's {', '.join(theirs)}.",)
    error = float(np.max([largest_error(relative_error, ours[name], theirs[name]) for name in ours]))  # NaN stays NaN
    tolerance = item.manifest.golden.tolerance
    if error <= tolerance:
        return (
            f"The outputs of the two sides differ by {error:.1e} of the baseline's norm on the golden samples, within "
            f"the tolerance of {tolerance:.0e}.",
        )
    size = f"by {error:.1e} of the baseline's norm" if math.isfinite(error) else "by NaN, an infinity or their shapes"
    return (
        f"The outputs of the two sides differ beyond the tolerance on the golden samples: {size}, where "
        f"{tolerance:.0e} is allowed.",
    )


def environments(gated: Gated) -> tuple[str, ...]:
    """Name the versions that differ between the two sides; none if they are the same."""
    if gated.baseline is None or gated.candidate.latency is None or gated.baseline.latency is None:
        return ()
    ours = gated.candidate.latency.blocks[0].environment
    theirs = gated.baseline.latency.blocks[0].environment
    pairs = {name: (version, theirs.get(name, "none")) for name, version in ours.items()}
    changed = [f"{name} {new} instead of {old}" for name, (new, old) in pairs.items() if new != old]
    return (f"The candidate ran with {', '.join(changed)}.",) if changed and theirs else ()


def self_tested(machine: Machine) -> str:
    """Write what the last self-test of a machine found; empty without one."""
    result = kept_self_test.find(machine)
    return result.sentence if result is not None else ""


def tightened(
    limits: tuple[Budget, ...], where: str, candidate: Path, machine: Machine
) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    """Tighten limits to what the candidate's model has shown on this machine; see `ratchet.tightened`.

    Args:
        limits: the user's.
        where: the history.
        candidate: the bundle.
        machine: the machine that measures.
    """
    from hwbench.results import history, ratchet  # which an extra brings

    manifest, here = open_bundle(candidate).manifest, history.device(machine)

    def course(quantity: str) -> tuple[history.Point, ...]:
        points = history.read(where, quantity, manifest.model)
        return tuple(point for point in points if (point.profile, point.device) == (manifest.profile.name, here))

    return ratchet.tightened(limits, course)


def results(
    gated: Gated, limits: tuple[Budget, ...], caveats: tuple[str, ...], confidence: float, self_test: str = ""
) -> Results:
    """Make the results that report formats take."""
    candidate, baseline = gated.candidate, gated.baseline
    if baseline is None:
        entries = [_entry(candidate.candidate, candidate, "measured", gated.verdicts)]
    else:  # both may have the same name
        entries = [
            _entry(f"{candidate.candidate} (candidate)", candidate, "measured", gated.verdicts),
            _entry(f"{baseline.candidate} (baseline)", baseline, "eligible"),
        ]
    result = ProfileResult(candidate.model, candidate.profile, limits, tuple(entries), caveats, confidence=confidence)
    result = dataclasses.replace(result, self_test=self_test, layer_changes=gated.layers)
    return profile_results.of([result])


def of_file(results: Results, bundle: Path | None) -> Results:
    """Add the digest of the bundle that was measured, by which an attestation or a reproduction knows it."""
    if bundle is None or bundle.suffix == ".json":
        return results
    with Bundle(bundle) as opened:
        digest = opened.file_sha256()
    profiles = [dataclasses.replace(result, bundle_sha256=digest) for result in results.profiles]
    return profile_results.of(profiles)


def _entry(name: str, report: Report, status: Status, verdicts: tuple[Verdict, ...] = ()) -> CandidateResult:
    artifact = report.artifact
    return CandidateResult(name, artifact.precision, artifact.runtime, status, "", report, verdicts)
