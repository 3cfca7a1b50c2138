"""A session's statistics in Prometheus's words."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from runtimes.inference.session import Session

_BOUNDS_NS = [2**exponent for exponent in range(10, 36)]  # 1 us to 34 s: a scraper wants the same bounds every time


class SessionMetrics(Collector):
    """Reads a session's statistics whenever it is scraped."""

    def __init__(self, session: Session, model: str) -> None:
        self._session, self._model = session, model
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Everything, in the exposition format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for."""
        stats, labels = self._session.stats(), [self._model]
        calls = CounterMetricFamily("edgewright_calls", "Inferences asked for.", labels=["model"])
        calls.add_metric(labels, stats.calls)
        errors = CounterMetricFamily("edgewright_errors", "Inferences that failed.", labels=["model"])
        errors.add_metric(labels, stats.errors)
        buckets = [(str(bound / 1e9), _below(stats.histogram, bound)) for bound in _BOUNDS_NS]
        latency = HistogramMetricFamily("edgewright_latency_seconds", "Time of one inference.", labels=["model"])
        latency.add_metric(labels, [*buckets, ("+Inf", stats.calls - stats.errors)], stats.total_ns / 1e9)
        yield from (calls, errors, latency)
        for name, field, text in (
            ("edgewright_saturated_ratio", "saturated", "Part of the values outside what calibration saw."),
            (
                "edgewright_population_stability_index",
                "psi",
                "Distance to calibration's values; above 0.25, another population.",
            ),
        ):
            gauge = GaugeMetricFamily(name, text, labels=["model", "tensor"])
            for drift in stats.drift:
                value = getattr(drift, field)
                if value is not None:
                    gauge.add_metric([self._model, drift.tensor], value)
            yield gauge


def _below(histogram: tuple[tuple[int, int], ...], bound_ns: int) -> int:
    return sum(count for upper_ns, count in histogram if upper_ns <= bound_ns)
