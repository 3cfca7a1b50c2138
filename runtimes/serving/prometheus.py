"""A session's statistics in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from runtimes.inference.session import Session

# 1 us to 34 s; Prometheus needs the same bounds in each scrape.
_BOUNDS_NS = [2**exponent for exponent in range(10, 36)]


class SessionMetrics(Collector):
    """A collector that reads a session's statistics at each scrape."""

    def __init__(self, session: Session, model: str) -> None:
        self._session, self._model = session, model
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Write all metrics in the exposition format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics to the registry."""
        stats, labels = self._session.stats(), [self._model]
        calls = CounterMetricFamily("edgewright_calls", "Calls of the model.", labels=["model"])
        calls.add_metric(labels, stats.calls)
        errors = CounterMetricFamily("edgewright_errors", "Calls of the model that failed.", labels=["model"])
        errors.add_metric(labels, stats.errors)
        buckets = [(str(bound / 1e9), _below(stats.histogram, bound)) for bound in _BOUNDS_NS]
        latency = HistogramMetricFamily(
            "edgewright_latency_seconds", "Time of one inference in seconds.", labels=["model"]
        )
        latency.add_metric(labels, [*buckets, ("+Inf", stats.calls - stats.errors)], stats.total_ns / 1e9)
        yield from (calls, errors, latency)
        for name, field, text in (
            (
                "edgewright_saturated_ratio",
                "saturated",
                "Fraction of the values outside the range seen in calibration.",
            ),
            (
                "edgewright_population_stability_index",
                "psi",
                "Population stability index against calibration's values; above 0.25 is another population.",
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
