"""Calibration: observe a model's tensors sample by sample, then choose their ranges by a method."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import onnx_ir as ir
import psutil

from hwbench.data.dataset import Dataset
from hwbench.progress import bar, say
from runtimes.errors import UsageError
from toolchain.calibration import methods
from toolchain.calibration.histogram import Histogram, Histograms
from toolchain.calibration.observe import observe
from toolchain.calibration.table import CalibrationTable
from toolchain.graphs.value_range import Range

MIN_ELEMENTS = 2048  # with fewer values, estimates of a tail or a divergence are meaningless

_FORECAST_AFTER = 3  # samples: the first allocates memory, and the second may load a new session


class TooFewSamplesError(UsageError):
    """The samples give too few values for a method that looks at their distribution."""


class CalibrationInterrupted(KeyboardInterrupt):
    """Ctrl-C after `table.samples` of the samples, which may be all of them, since choosing ranges takes time too."""

    def __init__(self, table: CalibrationTable) -> None:
        super().__init__()
        self.table = table


def observe_ranges(
    method: str,
    model: ir.Model,
    tensors: Sequence[str],
    data: Dataset,
    infinities: bool = False,
) -> CalibrationTable:
    """Observe tensors, and choose each one's range by a method; see `observe_by_methods`."""
    return observe_by_methods([method], model, tensors, data, infinities)[method]


def observe_by_methods(
    chosen: Sequence[str],
    model: ir.Model,
    tensors: Sequence[str],
    data: Dataset,
    infinities: bool = False,
) -> dict[str, CalibrationTable]:
    """Observe tensors once, and choose each one's range by several methods.

    Shows its progress on stderr and, after a few samples, a forecast of its time and memory.

    Args:
        chosen: names of files of `methods/`.
        model: the prepared float model; it stays unchanged.
        tensors: names of float32 tensors to observe.
        data: the calibration samples.
        infinities: the tensors may hold infinity and NaN, which then count as zeros.

    Returns:
        A table for each method, but for those that take more samples than there are. A tensor that was empty in every
        sample has no range.

    Raises:
        UsageError: as in `observe`; or there are too few samples for every method (the message gives both numbers).
        CalibrationInterrupted: Ctrl-C was pressed, and the samples so far make a table by the first method.
    """
    wanted = any(methods.method(method).NEEDS_DISTRIBUTION for method in chosen)
    named = " and ".join(chosen)
    batch, n = data.batch_size, data.n
    histograms, done, start = Histograms(len(tensors)), 0, 0
    with bar(f"Calibrating ({named})", n // batch) as tick, _deferred_interrupt() as interrupted:
        for observation in observe(model, tensors, data, elements=wanted, infinities=infinities):
            histograms.add(observation.low, observation.high, observation.elements, observation.sizes)
            done += batch
            if done == _FORECAST_AFTER * batch:
                say(forecast(named, n, (n - done) // batch * (time.perf_counter_ns() - start) / 1e9))
            tick(f"sample {done}")
            if interrupted():
                break
            start = time.perf_counter_ns()
        try:
            tables = _tables(chosen, tensors, histograms.finish(), done, n)
        except UsageError:
            if interrupted():
                raise KeyboardInterrupt from None  # too few samples so far
            raise
        if interrupted():
            raise CalibrationInterrupted(next(iter(tables.values())))
    return tables


def forecast(method: str, n: int, seconds: float) -> str:
    """Write the forecast of a calibration after its first samples; from then on its memory does not grow.

    Args:
        method: the names of the methods.
        n: the number of samples.
        seconds: the time that the rest will take.
    """
    memory_mb = psutil.Process().memory_info().rss / 1e6
    duration = f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"
    duration = "less than a second" if seconds < 1 else duration
    return (
        f"Calibrating by {method} on {n:,} samples takes {duration} more; this process holds {memory_mb:,.0f} MB of "
        "memory and needs no more."
    )


def _tables(
    chosen: Sequence[str], tensors: Sequence[str], found: Sequence[Histogram], done: int, n: int
) -> dict[str, CalibrationTable]:
    """Choose ranges by each method that has enough samples; the first one's error is raised if none has."""
    tables: dict[str, CalibrationTable] = {}
    short: TooFewSamplesError | None = None
    for method in chosen:
        try:
            ranges = _ranges(method, tensors, found, done)
        except TooFewSamplesError as error:
            short = short or error
            continue
        unobserved = tuple(name for name in tensors if name not in ranges)
        tables[method] = CalibrationTable(method, done, ranges, done == n, unobserved)
    if short is not None and not tables:
        raise short
    return tables


def _ranges(method: str, tensors: Sequence[str], found: Sequence[Histogram], n: int) -> dict[str, Range]:
    chooser = methods.method(method)
    ranges = {}
    for name, histogram in zip(tensors, found):
        if histogram.low > histogram.high:
            continue
        total = int(histogram.counts.sum())
        if chooser.NEEDS_DISTRIBUTION and total < MIN_ELEMENTS:
            raise TooFewSamplesError(
                f"Method {method} takes {MIN_ELEMENTS:,} values of a tensor, and {n} samples gave {total:,} of "
                f"'{name}'; add samples, or use minmax."
            )
        ranges[name] = chooser.choose(histogram)
    return ranges


@contextlib.contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C was pressed; a second Ctrl-C takes effect at once."""
    pressed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # Python delivers signals only to the main thread
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
