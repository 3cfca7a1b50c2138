"""A field in words: what was chosen and why, where it was measured, and what to doubt."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from hwbench.accuracy import Accuracy
from hwbench.field import Entry, Field
from hwbench.formats._rows import Row, label, show
from hwbench.gate import Outcome, Verdict
from hwbench.latency import Latency
from hwbench.machine import Machine

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Text that a terminal, XML and UTF-8 can hold: runtimes colour their errors, paths hold lone surrogates."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _ANSI.sub("", text).replace("\r\n", "\n"))


def outcome(field: Field) -> str:
    """The field's outcome; "measured" where there was no budget to pass."""
    return "measured" if field.outcome == "pass" and not field.budgets else field.outcome


def headline(field: Field, table: tuple[Row, ...]) -> str:
    """What was chosen, with the figures that speak for it."""
    chosen = next((row for row in table if row.entry is field.chosen), None)
    if chosen is None:
        return _none_chosen(field)
    if chosen.entry.report is None:
        return f"{label(chosen.entry)} was not measured: {chosen.entry.reason}"
    parts = [_speed(chosen, reference(table)), _accuracy(chosen), *_budgets(chosen.entry.verdicts)]
    return f"{label(chosen.entry)}: {', '.join(part for part in parts if part)}"


def reference(table: tuple[Row, ...]) -> Row | None:
    """The candidate that others are compared with: the fp32 of the chosen one's runtime, or any fp32."""
    fp32 = [row for row in table if row.entry.precision == "fp32" and row.figures]
    runtimes = {row.entry.runtime for row in table if row.entry.status == "chosen"}
    return next((row for row in fp32 if row.entry.runtime in runtimes), fp32[0] if fp32 else None)


def speedup(row: Row, against: Row | None, quantity: str) -> str:
    """How two latencies compare: "2.1x faster"."""
    return _compare(row, against, quantity, lambda times: f"{_times(times)} faster", lambda times: f"{_times(times)} slower")


def saving(row: Row, against: Row | None, quantity: str) -> str:
    """How two sizes compare: "74% less"."""
    return _compare(row, against, quantity, lambda times: f"{1 - 1 / times:.0%} less", lambda times: f"{times - 1:.0%} more")


def _compare(
    row: Row, against: Row | None, quantity: str, better: Callable[[float], str], worse: Callable[[float], str]
) -> str:
    """In words; empty where either figure is missing or they are one candidate's.

    Where the ratio's interval (from opposite ends of the two, so for any dependence) holds 1, it says so.
    """
    if against is None or against.entry is row.entry:
        return ""
    ours, theirs = row.figures.get(quantity), against.figures.get(quantity)
    if ours is None or theirs is None or min(ours.low, theirs.low) <= 0:
        return ""
    if theirs.low / ours.high <= 1 <= theirs.high / ours.low:
        return "no clear difference" if ours != theirs else "the same"
    return better(theirs.value / ours.value) if theirs.value > ours.value else worse(ours.value / theirs.value)


def in_percent(accuracy: Accuracy) -> bool:
    """Whether the metric is a share of right answers, which people say in percent."""
    return accuracy.scores is not None and set(accuracy.scores) <= {0.0, 1.0}


def share(row: Row, accuracy: Accuracy) -> str:
    """The accuracy, as people say it."""
    value = row.figures["accuracy"].value
    return f"{value:.1%}" if in_percent(accuracy) else show("accuracy", value)


def drop(row: Row, accuracy: Accuracy) -> str:
    """"drop 0.1 points", "gain 0.1 points", "no drop"; empty where there is nothing to compare with."""
    figure = row.figures.get("accuracy_drop")
    if figure is None:
        return ""
    points = in_percent(accuracy)
    lost = f"{abs(figure.value) * 100:.1f}" if points else show("accuracy", abs(figure.value))
    if not lost.strip("0."):
        return "no drop"
    return f"{'drop' if figure.value > 0 else 'gain'} {lost}{' points' if points else ''}"


def tally(verdicts: tuple[Verdict, ...], which: Outcome) -> str:
    """"1 of 2 budgets (p90<=20ms)"."""
    names = [verdict.budget.text for verdict in verdicts if verdict.outcome == which]
    return f"{len(names)} of {_count(len(verdicts), 'budget')} ({', '.join(names)})"


def verdicts(field: Field) -> tuple[tuple[Entry, Verdict], ...]:
    """The chosen candidate's verdicts; where none was chosen, everyone's, for these are why."""
    entries = field.entries if field.chosen is None else (field.chosen,)
    return tuple((entry, verdict) for entry in entries if entry.report is not None for verdict in entry.verdicts)


def machines(field: Field) -> tuple[str, ...]:
    """What measured it, one description per machine."""
    found = (describe(entry.report.machine) for entry in field.entries if entry.report is not None)
    return tuple(dict.fromkeys(found))


def describe(machine: Machine) -> str:
    """A machine in one line."""
    parts = [machine.board or "", machine.cpu, _count(machine.cores, "core"), f"{machine.memory_bytes / 2**30:.3g} GiB"]
    parts += [*machine.gpus, machine.system, f"Python {machine.python}"]
    parts.append(f"governor {machine.governor}" if machine.governor else "")
    parts.append(f"virtual ({machine.hypervisor})" if machine.hypervisor else "")
    return ", ".join(part for part in parts if part)


def method(latency: Latency) -> str:
    """How latency was measured."""
    samples = sum(len(block.samples_ns) for block in latency.blocks)
    threads = _count(latency.threads, "thread") if latency.threads else "threads as the runtime chooses"
    scenario = latency.scenario.replace("_", " ")
    return f"{scenario}, batch {latency.batch}, {threads}, {samples:,} samples in {_count(len(latency.blocks), 'process')}"


def warnings(field: Field) -> tuple[str, ...]:
    """What makes figures doubtful, and what to try, by candidate."""
    return tuple(
        f"{label(entry)}: {doubt}"
        for entry in field.entries
        if entry.report is not None and entry.report.latency is not None
        for doubt in entry.report.latency.doubts
    )


def commands(field: Field) -> tuple[str, ...]:
    """What to type to see these figures again."""
    budgets = "".join(f" --budget {shlex.quote(budget.text)}" for budget in field.budgets if not budget.relative)
    judged = any(entry.report and entry.report.accuracy for entry in field.entries)
    evaluation = " --evaluation SAMPLES.npz" if judged else ""
    if field.bundle is None:
        return (f"edgewright build MODEL --profile {shlex.quote(field.profile)}{evaluation}{budgets}",)
    bundle = shlex.quote(str(field.bundle))
    lines = [f"edgewright verify {bundle}", f"edgewright measure {bundle}{evaluation}"]
    return (*lines, f"edgewright gate {bundle}{evaluation}{budgets}") if budgets else tuple(lines)


def _none_chosen(field: Field) -> str:
    measured = [entry for entry in field.entries if entry.report is not None]
    if not measured:
        reasons = {entry.reason for entry in field.entries}
        return f"Nothing was measured for {field.profile}" + (f": {reasons.pop()}" if len(reasons) == 1 else "")
    if field.outcome == "fail":
        return f"No candidate meets the budgets: of {len(measured)} measured, each breaks at least one"
    return f"No candidate was chosen: of {len(measured)} measured, none is sure to meet the budgets"


def _speed(row: Row, against: Row | None) -> str:
    if "p50" not in row.figures:
        measured = row.entry.report is not None and row.entry.report.latency is not None
        return f"no p50 ({row.missing['p50']})" if measured else "latency not measured"
    shown = f"{show('p50', row.figures['p50'].value)} ms"
    compared = speedup(row, against, "p50")
    if not compared or against is None:
        return f"p50 {shown}"
    than = "than" if compared[0].isdigit() else "from"
    return f"{compared} {than} {against.name} at p50 ({shown})"


def _accuracy(row: Row) -> str:
    accuracy = row.entry.report.accuracy if row.entry.report is not None else None
    if accuracy is None or "accuracy" not in row.figures:
        return ""
    name = "accuracy" if in_percent(accuracy) else accuracy.metric
    lost = drop(row, accuracy)
    return f"{name} {share(row, accuracy)}" + (f" ({lost})" if lost else "")


def _budgets(verdicts: tuple[Verdict, ...]) -> list[str]:
    outcomes = {verdict.outcome for verdict in verdicts}
    if not outcomes:
        return []
    if outcomes == {"pass"}:
        return ["passes " + {1: "its budget", 2: "both budgets"}.get(len(verdicts), f"all {len(verdicts)} budgets")]
    parts = [f"fails {tally(verdicts, 'fail')}"] if "fail" in outcomes else []
    return parts + ([f"inconclusive on {tally(verdicts, 'inconclusive')}"] if "inconclusive" in outcomes else [])


def _times(times: float) -> str:
    return f"{times:.1f}x" if times < 9.95 else f"{times:,.0f}x"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "es" if noun.endswith("ss") else "s")
