"""Where a field's figures come from: the machine, the method, what to doubt, and how to get them again."""

from __future__ import annotations

import shlex

from hwbench.formats.sections.conditions import conditions, energy
from hwbench.formats.sections.rows import label
from hwbench.machine.identity import Machine
from hwbench.measurements.latency import Latency
from hwbench.measurements.quantities import per_s
from hwbench.measurements.report import Report
from hwbench.measurements.stability_warnings import stability_warnings
from hwbench.results.profile_results import ProfileResult
from hwbench.wording import count, kept
from runtimes import plugins


def machines(field: ProfileResult) -> tuple[str, ...]:
    """What measured it, one description per machine."""
    found = (describe(entry.report.machine) for entry in field.candidates if entry.report is not None)
    return tuple(dict.fromkeys(found))


def describe(machine: Machine) -> str:
    """A machine in one line."""
    parts = [machine.board or "", machine.cpu, count(machine.cores, "core"), f"{machine.memory_bytes / 2**30:.3g} GiB"]
    parts += [*machine.gpus, machine.system, f"Python {machine.python}"]
    parts.append(f"governor {machine.governor}" if machine.governor else "")
    maker = f" ({machine.hypervisor})" if machine.hypervisor != "yes" else ""  # "yes" is all some machines say
    parts.append(f"virtual{maker}" if machine.hypervisor else "")
    return ", ".join(part for part in parts if part)


def how(report: Report) -> list[tuple[str, str]]:
    """How a report's figures came about, as names and sentences; those that there is nothing to say of are left out."""
    latency, accuracy = report.latency, report.accuracy
    facts = []
    if latency is not None:
        facts = [
            ("latency", method(latency)),
            ("conditions", conditions(latency, report.machine.cores)),
            ("energy", energy(latency)),
        ]
    if accuracy is not None:
        facts.append(("accuracy", f"{accuracy.metric} of {count(accuracy.n, 'sample')}"))
    return [(name, fact) for name, fact in facts if fact]


def judged(field: ProfileResult) -> str:
    """Why a gate's verdict and the table show two figures for one quantity; empty where nothing was gated."""
    if all(verdict.counted is None for entry in field.candidates for verdict in entry.verdicts):
        return ""
    return (
        "a figure in the table is of every sample; a verdict's is the median of the processes that counted by when it "
        "became sure (of all, where none did), within bounds that hold however often one looks"
    )


def method(latency: Latency) -> str:
    """How latency was measured."""
    threads = count(latency.threads, "thread") if latency.threads else "threads as the runtime chooses"
    samples = sum(len(block.samples_ns) for block in latency.blocks)
    processes = count(len(latency.blocks), "process", "processes")
    return f"{_load(latency)}, {threads}, {count(samples, 'sample')} in {processes}{_tail(latency)}"


def _load(latency: Latency) -> str:
    """How queries came, and how they were answered."""
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
    """MLPerf's own figures, for who compares with its results."""
    figures = [(percent, latency.tail_ms(percent)) for percent in (90.0, 99.0)]
    shown = ", ".join(f"p{percent:g} {value:.3g} ms" for percent, value in figures if value is not None)
    return f"; by MLPerf's early stopping {shown}" if shown else ""


def search(field: ProfileResult) -> str:
    """How the candidates were found; empty where nothing was searched."""
    found = field.search
    if found is None:
        return ""
    return (
        f"{count(found.tried, 'candidate')} tried, ordered by the calibration data; the evaluation data was looked at "
        f"{'once' if found.looks == 1 else f'{found.looks:,} times'}"
    )


def layers(field: ProfileResult) -> str:
    """The chosen candidate's products by precision, and those that were kept: "50 in int8; 1 kept in fp32: conv2"."""
    selected = field.selected
    if selected is None:
        return ""
    counts = ", ".join(f"{number:,} in {precision}" for precision, number in selected.layers.items())
    return "; ".join(filter(None, (counts, kept(selected.recipe))))


def warnings(field: ProfileResult) -> tuple[str, ...]:
    """What makes figures doubtful, and what to try: each kind once, of the chosen candidate where that has it."""
    told: dict[str, list[str]] = {}
    for entry in sorted(field.candidates, key=lambda entry: entry is not field.selected):
        for doubt in stability_warnings(entry.report) if entry.report is not None else ():
            told.setdefault(doubt.kind, []).append(f"{label(entry)}: {doubt.text}")
    return tuple(first + (f" ({len(more):,} more likewise)" if more else "") for first, *more in told.values())


def commands(field: ProfileResult) -> tuple[str, ...]:
    """What to type to get these figures again."""
    budgets = "".join(f" --budget {shlex.quote(budget.text)}" for budget in field.budgets if not budget.relative)
    judged = _evaluation(field)
    if field.bundle is None:
        return (f"edgewright build MODEL --profile {shlex.quote(field.profile)}{judged}{budgets}",)
    bundle = shlex.quote(str(field.bundle))
    lines = (f"edgewright verify {bundle}", f"edgewright measure {bundle}{judged}")
    return (*lines, f"edgewright gate {bundle}{judged}{budgets}") if budgets else lines


def _evaluation(field: ProfileResult) -> str:
    """The options that judge accuracy; a metric of the user's own is a function in a file of theirs."""
    metrics = [entry.report.accuracy.metric for entry in field.candidates if entry.report and entry.report.accuracy]
    if not metrics or metrics[0] == "parity":  # parity needs no labels, and so no file
        return ""
    metric = shlex.quote(metrics[0])
    known = metrics[0] in plugins.names("hwbench.metrics")
    return f" --evaluation SAMPLES.npz --metric {metric if known else f'FILE.py:{metric}'}"
