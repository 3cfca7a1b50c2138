"""MLPerf Inference's scenarios beyond single stream: LoadGen makes the load, and each run has a process of its own.

Runs are as short as our other blocks, and MLPerf asks for ten minutes, so the figures are no MLPerf results.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hwbench.budgets.budget import Budget
from hwbench.budgets.verdicts import Verdict
from hwbench.load import server_max_rate
from hwbench.load.loadgen.load_plan import LoadedScenario, LoadPlan
from hwbench.load.loadgen.process import check_installed, run_under_load
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.measurements import interference
from hwbench.measurements.interference import MAX_SLOWDOWN
from hwbench.measurements.interleaved import BLOCKS
from hwbench.measurements.latency import Latency, Load
from hwbench.measurements.quantities import per_s
from hwbench.measurements.report import Report
from hwbench.progress import Tick
from hwbench.results.measure_bundles import Evaluation, report_of
from hwbench.results.opened_bundle import OpenedBundle, open_bundle
from hwbench.stats import intervals
from hwbench.targets.local import LocalTarget
from runtimes import samples
from runtimes.errors import UsageError
from runtimes.npz import write as write_npz
from runtimes.sampling.closed_loop import SamplingPlan

BATCH = 8
"""Default number of samples that arrive together, as in MLPerf's multi_stream."""
CAVEAT = "Each run of LoadGen took seconds, and MLPerf Inference asks for ten minutes: this is no MLPerf result."
_OFFLINE_RUNS = 8  # least number for each worker; offline has no percentiles, which would need more
_CAPACITY_RUNS = 2  # the faster one counts, since interference only slows a run down
_MOST_QUERIES = 20_000  # of server: high rates are measured for as long as low ones, and meet as much interference


@dataclass(frozen=True)
class LoadRequest:
    """A measurement under load, as the user asked for it.

    Attributes:
        plan: duration of each process.
        batch: samples per query of multi_stream, or per inference of offline; None for `BATCH`, or the next multiple
            of a batch that the model fixes.
        bound: the limit on latency that server has to hold.
    """

    scenario: LoadedScenario
    plan: SamplingPlan
    batch: int | None = None
    bound: Budget | None = None

    def __post_init__(self) -> None:
        if self.bound is None and self.scenario == "server":
            raise UsageError("The scenario server needs a bound on its latency; give one, as in --bound 'p99<=20ms'.")
        if self.bound is not None and self.scenario != "server":
            raise UsageError(
                f"The scenario {self.scenario} takes no bound; leave out --bound, or measure --scenario server."
            )
        if self.batch is not None and self.scenario == "server":
            raise UsageError("The queries of the scenario server have one sample each; leave out --batch.")
        if self.bound is not None and (self.bound.relative or not server_max_rate.is_percentile(self.bound)):
            raise UsageError(
                f"The bound '{self.bound.text}' does not limit a percentile of the latency in a unit of time; "
                "write it like p99<=20ms."
            )


def measure(
    path: Path, request: LoadRequest, tick: Tick, evaluation: Evaluation | None = None
) -> tuple[Report, tuple[Verdict, ...]]:
    """Measure a bundle under a load, here and now.

    Args:
        path: the bundle.
        request: the scenario and its load.
        tick: called after each process.
        evaluation: samples to score on, as in any other measurement.

    Returns:
        Its report, and the verdict on server's bound. If one query at a time misses the bound already, the report is of
        single_stream.

    Raises:
        NotInstalledError: LoadGen is not installed.
        BundleError: the file was refused.
        BackendError: the bundle could not be run; a CrashError if its process crashed or hung.
        UsageError: the rates of the bound would take too long to judge, or the model does not take the batch.
    """
    check_installed()
    item, target, machine = open_bundle(path), LocalTarget(), this_machine()
    if item.manifest.artifact.states:
        raise UsageError(f"Queries come independently, and '{path}' has states; measure it in single_stream.")
    if not device_profiles.fits(item.manifest.profile, machine):
        why = device_profiles.mismatch(item.manifest.profile)
        verdicts = (Verdict(request.bound, "inconclusive", None, why),) if request.bound else ()
        return report_of(item, None, why, evaluation, target, machine), verdicts
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        inputs = Path(work, "inputs.npz")
        write_npz(inputs, item.inputs)
        bench = _Bench(item, inputs, machine.processors, tick)
        if request.bound is None:
            latency = bench.run(_plan(bench, request), BLOCKS)
            return report_of(item, latency, "", evaluation, target, machine), ()
        rates, verdict = _serve(bench, request.plan, request.bound)
    latency = rates[server_max_rate.largest(rates, request.bound) or 0]
    report = report_of(item, latency, "", evaluation, target, machine)
    return dataclasses.replace(report, rates=tuple(rate for rate in rates if rate is not latency)), (verdict,)


@dataclass(frozen=True)
class _Bench:
    """A bundle that is ready to be measured under any load."""

    item: OpenedBundle
    inputs: Path
    cores: int
    tick: Tick

    @property
    def threads(self) -> int:
        """Threads of an inference; 0 if the runtime chooses."""
        return self.item.manifest.artifact.settings.threads

    @property
    def workers(self) -> int:
        """Number of workers that the processors allow (a runtime may use fewer); 1 if it chooses its own threads."""
        return max(1, self.cores // self.threads) if self.threads else 1

    @property
    def fixed(self) -> int:
        """The model's own batch."""
        return samples.batch_size(self.item.manifest.artifact.inputs, self.item.inputs)

    def run(self, plan: LoadPlan, blocks: int, first: int = 0) -> Latency:
        """Measure in several processes, each with other random numbers: its number, counted from `first`."""
        loaded = []
        for seed in range(first, first + blocks):
            loaded.append(run_under_load(self.item.path, self.inputs, dataclasses.replace(plan, seed=seed)))
            rate = f" at {per_s(plan.target_per_s)} per s" if plan.target_per_s else ""
            self.tick(f"measured {plan.scenario}{rate}")
        load = Load(loaded[0].batched, loaded[0].workers, plan.target_per_s or None)
        measured = tuple(each.block for each in loaded)
        return Latency(plan.scenario, measured[0].batch, self.threads, measured, load)

    def single_stream(self, plan: SamplingPlan) -> Latency:
        """Measure one query at a time, by our own loop."""
        block = LocalTarget().sample(self.item.path, self.inputs, plan)
        self.tick("measured one query at a time")
        return Latency("single_stream", block.batch, self.threads, (block,))


def _plan(bench: _Bench, request: LoadRequest) -> LoadPlan:
    """Plan the load of multi_stream or offline."""
    together = request.batch or -(-BATCH // bench.fixed) * bench.fixed
    if request.scenario == "multi_stream":
        return LoadPlan("multi_stream", request.plan, together)
    return _offline(bench, request.plan, together)


def _offline(bench: _Bench, plan: SamplingPlan, together: int) -> LoadPlan:
    return LoadPlan("offline", dataclasses.replace(plan, min_runs=_OFFLINE_RUNS), together, bench.workers)


def _serve(bench: _Bench, plan: SamplingPlan, bound: Budget) -> tuple[tuple[Latency, ...], Verdict]:
    """Measure server's latency at the rates of the search, or only single stream's if single stream misses the bound.

    Raises:
        UsageError: a rate would take too long to judge.
    """
    percent = server_max_rate.percent_of(bound)
    alone_plan = _lasting(plan, max(plan.min_runs, intervals.quantile_runs_needed(percent / 100)))
    alone = bench.single_stream(alone_plan)
    if _fails_alone(alone, bound) is not None:  # another process has to confirm a miss
        alone = dataclasses.replace(alone, blocks=alone.blocks + bench.single_stream(alone_plan).blocks)
    if (failed := _fails_alone(alone, bound)) is not None:
        return (alone,), failed
    needed = intervals.early_stopping_runs_needed(percent / 100)
    fastest = bench.run(_offline(bench, plan, bench.fixed), _CAPACITY_RUNS).throughput_per_s.high
    capacity_per_s = fastest / bench.fixed
    lowest_per_s = needed / plan.time_limit_s
    if capacity_per_s < lowest_per_s:
        raise UsageError(
            f"A bound on {bound.quantity} takes {needed:,} queries, and this model answers about {capacity_per_s:.3g} "
            f"per s; give --duration {math.ceil(needed / capacity_per_s)} or more, or bound a lower percentile."
        )
    sampling = _lasting(plan, needed)
    sampling = dataclasses.replace(sampling, max_runs=max(sampling.max_runs, _MOST_QUERIES))

    def at(rate: float, place: int) -> Latency:
        return bench.run(LoadPlan("server", sampling, bench.fixed, bench.workers, rate), 1, place)

    rates = server_max_rate.search(at, bound, capacity_per_s, lowest_per_s)
    return rates, server_max_rate.verdict(rates, bound, lowest_per_s)


def _lasting(plan: SamplingPlan, runs: int) -> SamplingPlan:
    """Extend a plan to a least number of runs, which may be more than it allows."""
    return dataclasses.replace(plan, min_runs=runs, max_runs=max(runs, plan.max_runs))


def _fails_alone(alone: Latency, bound: Budget) -> Verdict | None:
    """Judge by one query at a time: fail if it misses the bound by more than interference explains; None otherwise."""
    try:
        figure = alone.percentile(server_max_rate.percent_of(bound))
    except ValueError:  # the model is too slow for the time limit; the search says how long it takes
        return None
    disturbed = all(interference.interruption(block) is not None for block in alone.blocks)
    least_ms = min(float(alone.samples_ms.min()) / MAX_SLOWDOWN, figure.low) if disturbed else figure.low
    if least_ms <= bound.limit:
        return None
    alone_ms = f"{bound.quantity} {figure.value:.3g} ms ({figure.low:.3g} to {figure.high:.3g})"
    return Verdict(bound, "fail", figure, f"no rate holds the bound: one query at a time takes {alone_ms} already")
