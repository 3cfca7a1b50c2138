"""Provenance of a profile's figures: the machine, the method, warnings, and commands to get the figures again."""

from __future__ import annotations

import shlex

from hwbench import metrics
from hwbench.data.input_shapes import shapes_text
from hwbench.formats.sections.conditions import conditions, energy
from hwbench.formats.sections.rows import label
from hwbench.machine.identity import Machine
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.quantities import per_s
from hwbench.measurements.report import Report
from hwbench.measurements.stability_warnings import stability_warnings
from hwbench.measurements.step_growth import step_growth
from hwbench.results.profile_results import ProfileResult
from hwbench.wording import count, kept


def machines(result: ProfileResult) -> tuple[str, ...]:
    """Describe the machines that measured a profile's candidates, one line each."""
    found = (describe(candidate.report.machine) for candidate in result.candidates if candidate.report is not None)
    return tuple(dict.fromkeys(found))


def describe(machine: Machine) -> str:
    """Describe a machine in one line."""
    cores = count(machine.cores, "core")
    if machine.cpu_quota is not None:
        cores += f" with a quota of {machine.cpu_quota:.3g}"
    parts = [machine.board or "", machine.cpu, cores, f"{machine.memory_bytes / 2**30:.3g} GiB"]
    parts += [*machine.gpus, machine.system, f"Python {machine.python}"]
    parts.append(f"governor {machine.governor}" if machine.governor else "")
    maker = f" ({machine.hypervisor})" if machine.hypervisor != "yes" else ""  # some machines say nothing but "yes"
    parts.append(f"virtual{maker}" if machine.hypervisor else "")
    return ", ".join(part for part in parts if part)


def method_facts(report: Report) -> list[tuple[str, str]]:
    """Describe how a report's figures were measured, as names and sentences."""
    latency, accuracy = report.latency, report.accuracy
    facts = []
    if latency is not None:
        facts = [
            ("latency", latency_method(latency)),
            ("shapes", shapes_text(report.artifact.inputs, latency.blocks)),
            ("steps", _steps(latency)),
            ("conditions", conditions(latency, report.machine.cores)),
            ("energy", energy(latency)),
        ]
    if accuracy is not None:
        facts.append(("accuracy", _scored(accuracy) + _scored_elsewhere(report)))
    return [(name, fact) for name, fact in facts if fact]


def _scored(accuracy: Accuracy) -> str:
    """Describe the samples that accuracy was computed on."""
    text = f"{', '.join(one.metric for one in accuracy.each)} of {count(accuracy.n, 'sample')}"
    text += f", computed by {accuracy.computed_by}" if accuracy.computed_by else ""
    for one in accuracy.each:
        if one.flips is not None and one.flips.changed is not None:
            of = f"{count(one.flips.n, 'sample')} without labels"
            text += f"; {one.metric}: {count(one.flips.changed, 'decision')} of {of} changed"
        elif one.replicates is not None and one.resampling == "jackknife":
            text += f"; {one.metric}: a jackknife of {len(one.replicates)} groups, as it is slow"
    return text


def _scored_elsewhere(report: Report) -> str:
    """Tell that the accuracy is from the bundle's build; empty if it was measured with the other figures."""
    if report.scored_on is None:
        return ""
    return f"; not measured now, but by its build, on {describe(report.scored_on)}; --evaluation scores it here"


def gate_note(result: ProfileResult) -> str:
    """Explain why a gate's verdict and the table differ in their figures; empty without a gate."""
    if all(verdict.counted is None for candidate in result.candidates for verdict in candidate.verdicts):
        return ""
    return (
        "the table uses every sample; a verdict uses the median of the undisturbed processes (of all processes, where "
        "none was undisturbed) when its sequential test stopped, with bounds that hold at every look"
    ) + (f"; {result.self_test}" if result.self_test else "")


def latency_method(latency: Latency) -> str:
    """Describe how latency was measured."""
    threads = count(latency.threads, "thread") if latency.threads else "threads as the runtime chooses"
    kept, timed = sum(len(block.samples_ns) for block in latency.blocks), sum(block.runs for block in latency.blocks)
    samples = count(kept, "sample") if kept == timed else f"{kept:,} of {count(timed, 'sample')}"
    processes = count(len(latency.blocks), "process", "processes")
    return f"{_load(latency)}, {threads}, {samples} in {processes}{_tail(latency)}"


def _load(latency: Latency) -> str:
    """Describe how queries arrived and were answered."""
    scenario, load = latency.scenario.replace("_", " "), latency.load
    if load is None:
        return f"{scenario}, batch {latency.batch}"
    workers = count(load.workers, "worker")
    if latency.scenario == "server":
        return f"{scenario} at {per_s(load.target_per_s or 0)} queries per s, batch {latency.batch}, {workers}"
    if latency.scenario == "offline":
        return f"{scenario}, batch {latency.batch}, {workers}"
    how = "as one inference" if load.batched else "one after another"
    return f"{scenario}, {count(latency.batch, 'sample')} a query, {how}"


def _tail(latency: Latency) -> str:
    """Write MLPerf's own figures, to compare with its published results."""
    figures = [(percent, latency.tail_ms(percent)) for percent in (90.0, 99.0)]
    shown = ", ".join(f"p{percent:g} {value:.3g} ms" for percent, value in figures if value is not None)
    return f"; by MLPerf's early stopping {shown}" if shown else ""


def _steps(latency: Latency) -> str:
    """Tell how latency grows with the steps of a sequence; empty for a model without states."""
    growth = step_growth(latency)
    if growth is None:
        return ""
    ends = "step" if growth.compared == 1 else f"{growth.compared} steps"
    return (
        f"latency is of single steps: p50 {growth.first_ms:.3g} ms in the first {ends} of a sequence, "
        f"{growth.last_ms:.3g} ms in the last of {growth.steps}"
    )


def search(result: ProfileResult) -> str:
    """Describe how the candidates were found; empty if there was no search."""
    found = result.search
    if found is None:
        return ""
    return (
        f"{count(found.tried, 'candidate')} tried and ordered on the calibration samples; "
        f"{count(found.looks, 'candidate')} scored on the evaluation samples"
    )


def layers(result: ProfileResult) -> str:
    """Count the selected candidate's layers by precision: "50 in int8; 1 kept in fp32: conv2"."""
    selected = result.selected
    if selected is None:
        return ""
    counts = ", ".join(f"{number:,} in {precision}" for precision, number in selected.layers.items())
    return "; ".join(filter(None, (counts, kept(selected.recipe))))


def warnings(result: ProfileResult) -> tuple[str, ...]:
    """List the warnings about the figures, each kind once: that of the selected candidate, or of the first one."""
    by_kind: dict[str, list[str]] = {}
    for candidate in sorted(result.candidates, key=lambda candidate: candidate is not result.selected):
        for warning in stability_warnings(candidate.report) if candidate.report is not None else ():
            by_kind.setdefault(warning.kind, []).append(f"{label(candidate)}: {warning.text}")
    return tuple(first + (f" ({len(more):,} more likewise)" if more else "") for first, *more in by_kind.values())


def commands(result: ProfileResult) -> tuple[str, ...]:
    """Write the commands that measure these figures again."""
    budgets = "".join(f" --budget {shlex.quote(budget.text)}" for budget in result.budgets if not budget.relative)
    evaluation = _evaluation(result)
    if result.bundle is None:
        return (f"edgewright build MODEL --profile {shlex.quote(result.profile)}{evaluation}{budgets}",)
    bundle = shlex.quote(str(result.bundle))
    lines = (f"edgewright verify {bundle}", f"edgewright measure {bundle}{evaluation}")
    return (*lines, f"edgewright gate {bundle}{evaluation}{budgets}") if budgets else lines


def _evaluation(result: ProfileResult) -> str:
    """Write the options that judge accuracy; a user's own metric is a function in a file."""
    scored = [one.report.accuracy for one in result.candidates if one.report and one.report.accuracy]
    names = [one.metric for one in scored[0].each] if scored else []
    if not names or names[0] == "parity":  # parity needs no labels, and therefore no file
        return ""
    given = [name if metrics.is_built_in(name) else f"FILE.py:{name}" for name in names]
    return " --evaluation SAMPLES.npz" + "".join(f" --metric {shlex.quote(name)}" for name in given)
