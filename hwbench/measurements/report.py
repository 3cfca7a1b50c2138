"""Report of one artifact: raw samples, from which all figures derive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwbench.data.input_shapes import timed_at
from hwbench.machine.gpu_timing import GpuTimes
from hwbench.machine.identity import Machine
from hwbench.machine.instruction_counts import InstructionCounts
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.peaks import Peaks
from hwbench.measurements.quantities import PERCENTILES, QUANTITIES, of_metric, split
from hwbench.stats.intervals import Estimate
from runtimes.bundles.manifest import Artifact
from runtimes.profilers import Placement


class NotMeasuredError(Exception):
    """A quantity has no figure; the message is the reason."""


class NeverMeasuredError(NotMeasuredError):
    """A quantity has no figure, and more measurements of the same kind would give none either."""


@dataclass(frozen=True)
class Figures:
    """The figures of one artifact that budgets limit.

    Attributes:
        latency: None if it was not measured.
        accuracy: None if it was not measured.
        unmeasured: the reason why `latency` or `accuracy` is missing, by its name.
    """

    size_bytes: int
    latency: Latency | None = None
    accuracy: Accuracy | None = None
    unmeasured: Mapping[str, str] = field(default_factory=dict)

    def estimate(self, quantity: str) -> Estimate:
        """Estimate a quantity of `quantities.QUANTITIES`, or that of a metric such as accuracy_drop[mae].

        Returns:
            The figure in ms, bytes, inferences per second, microjoules, or plain.

        Raises:
            NotMeasuredError: the quantity has no figure; the message is the reason.
        """
        if QUANTITIES[split(quantity)[0]].by_gate:
            raise NotMeasuredError(self.unmeasured.get(quantity, f"nothing but a gate tells {quantity}"))
        if quantity == "size":
            size = float(self.size_bytes)
            return Estimate(size, size, size)
        try:
            if quantity.startswith("accuracy"):
                return self._accuracy(*split(quantity))
            if self.latency is None:
                raise NotMeasuredError(self.unmeasured.get("latency", "latency was not measured"))
            return _latency(self.latency, quantity)
        except ValueError as too_few:
            raise NotMeasuredError(str(too_few)) from None

    def _accuracy(self, quantity: str, key: str) -> Estimate:
        if self.accuracy is None:
            raise NotMeasuredError(self.unmeasured.get("accuracy", "accuracy was not measured; give --evaluation"))
        accuracy = self.accuracy.of(key)
        if accuracy is None:
            scored = ", ".join(one.metric for one in self.accuracy.each)
            raise NotMeasuredError(f"'{key}' was not scored, and {scored} {'was' if ',' not in scored else 'were'}")
        if quantity == "accuracy":
            return accuracy.estimate()
        drop = accuracy.drop()
        if drop is None:
            who = "the source model" if accuracy.against == "source" else "the baseline"
            raise NotMeasuredError(f"{who} was not scored on the same samples, so there is no drop")
        return drop


@dataclass(frozen=True)
class Report:
    """One artifact and its measurements.

    Attributes:
        model: the model's name.
        profile: name of the device that the artifact was made for.
        machine: the machine that measured it.
        peaks: the most that this machine can do with the artifact's threads; None if that was not measured.
        unmeasured: the reason why `latency`, `accuracy`, `peaks`, `gpu_times` or the artifact's `work` is missing, by
            its name.
        rates: latency at the other rates of arrivals that a search for server's largest rate tried, the lowest first.
        candidate: the candidate's name in its build; empty if it has none.
        gpu_times: parts of inferences on a GPU; None on a processor, or if they were not measured.
        sized: latency at other sizes of the inputs, for budgets that name them.
        placement: the nodes that run where they should, and the others; None unless a gate limited them.
        instructions: those of single inferences; None likewise.
        scored_on: the machine that scored the accuracy when the bundle was built; None if `machine` did.
    """

    model: str
    profile: str
    artifact: Artifact
    machine: Machine
    latency: Latency | None = None
    accuracy: Accuracy | None = None
    peaks: Peaks | None = None
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    rates: tuple[Latency, ...] = ()
    candidate: str = ""
    gpu_times: GpuTimes | None = None
    scored_on: Machine | None = None
    sized: tuple[Latency, ...] = ()
    placement: Placement | None = None
    instructions: InstructionCounts | None = None

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of its figures, as `estimate` takes them; those of further metrics come last."""
        others = self.accuracy.others if self.accuracy is not None else ()
        return (*QUANTITIES, *(of_metric(name, one.metric) for one in others for name in ("accuracy", "accuracy_drop")))

    def estimate(self, quantity: str) -> Estimate:
        """Estimate a quantity, as `Figures.estimate` does.

        Raises:
            NotMeasuredError: the quantity has no figure; the message is the reason.
        """
        if quantity == "placement" and self.placement is not None:
            return Estimate(self.placement.share, self.placement.share, self.placement.share)
        if quantity == "instructions" and self.instructions is not None:
            return self.instructions.per_inference
        quantity, _, sizes = quantity.partition("@")
        latency = self._latency_at(sizes) if sizes else self.latency
        return Figures(self.artifact.size_bytes, latency, self.accuracy, self.unmeasured).estimate(quantity)

    def _latency_at(self, sizes: str) -> Latency | None:
        """Find the latency at sizes of dimensions, as in "L=256".

        Raises:
            NotMeasuredError: there is none.
        """
        wanted = {name: (int(size),) for name, _, size in (part.partition("=") for part in sizes.split(","))}
        for latency in (self.latency, *self.sized):
            if latency is not None and wanted.items() <= timed_at(self.artifact.inputs, latency.blocks).items():
                return latency
        raise NotMeasuredError(self.unmeasured.get("latency", f"latency was not timed at {sizes}; gate the bundle"))


def _latency(latency: Latency, quantity: str) -> Estimate:
    if quantity == "throughput":
        return latency.throughput_per_s
    if quantity == "load_time":
        return latency.load_ms
    if quantity == "energy":
        return latency.energy_uj
    if quantity == "peak_memory":
        peak = latency.peak_memory_bytes
        if peak is None:
            raise NotMeasuredError("the memory of the process was not reported")
        return peak
    percent = next(p for p in PERCENTILES if quantity == f"p{p:g}")
    return latency.percentile(percent)
