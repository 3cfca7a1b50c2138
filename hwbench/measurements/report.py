"""What was measured of one artifact. Raw samples are kept; everything else derives from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwbench.machine.identity import Machine
from hwbench.measurements.accuracy import Accuracy
from hwbench.measurements.latency import Latency
from hwbench.measurements.peaks import Peaks
from hwbench.measurements.quantities import PERCENTILES
from hwbench.stats.intervals import Estimate
from runtimes.bundles.manifest import Artifact


class NotMeasuredError(Exception):
    """A quantity has no figure; the message is the reason."""


class NeverMeasuredError(NotMeasuredError):
    """And measuring more like it would give none either."""


@dataclass(frozen=True)
class Report:
    """One artifact, measured.

    Attributes:
        model: the model's name.
        profile: the device it was made for.
        machine: the machine it was measured on.
        peaks: what that machine can do at most with the artifact's threads; None where it was not measured.
        unmeasured: why `latency`, `accuracy`, `peaks` or the artifact's `work` is missing, by its name.
        rates: of server, what was measured at other rates of arrivals than `latency`'s, the lowest first.
        candidate: what `build` called it; empty where nobody named it.
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

    def estimate(self, quantity: str) -> Estimate:
        """The figure that a budget limits: ms, bytes, inferences per second, microjoules, or plain.

        Raises:
            NotMeasuredError: there is none, and why.
        """
        if quantity == "size":
            size = float(self.artifact.size_bytes)
            return Estimate(size, size, size)
        try:
            if quantity in ("accuracy", "accuracy_drop"):
                return self._accuracy(quantity)
            if self.latency is None:
                raise NotMeasuredError(self.unmeasured.get("latency", "latency was not measured"))
            return _latency(self.latency, quantity)
        except ValueError as too_few:
            raise NotMeasuredError(str(too_few)) from None

    def _accuracy(self, quantity: str) -> Estimate:
        if self.accuracy is None:
            raise NotMeasuredError(self.unmeasured.get("accuracy", "accuracy was not measured; give --evaluation"))
        if quantity == "accuracy":
            return self.accuracy.estimate()
        drop = self.accuracy.drop()
        if drop is None:
            raise NotMeasuredError("there is no source model's accuracy to compare with")
        return drop


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
            raise NotMeasuredError("this system does not say how much memory a process used")
        return peak
    percent = next(p for p in PERCENTILES if quantity == f"p{p:g}")
    return latency.percentile(percent)
