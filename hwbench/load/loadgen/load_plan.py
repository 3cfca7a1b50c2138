"""Plan and result of a run of LoadGen, as the host and the measuring process exchange them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import Block, SamplingPlan

LoadedScenario = Literal["multi_stream", "offline", "server"]
"""The scenarios that LoadGen drives; our own closed loop measures single_stream."""

_MOST_WORKERS = 1_024

_MOST_QUERIES = 1_000_000  # LoadGen keeps a record of each


@dataclass(frozen=True)
class LoadPlan:
    """One run of LoadGen.

    Attributes:
        sampling: number of queries and duration, as for a closed loop; for offline, number of inferences, with at least
            `min_runs` for each worker.
        samples: number of samples that arrive together: in a query of multi_stream, or an inference of offline.
        workers: threads that answer queries which do not wait for each other (offline, server).
        target_per_s: the mean rate of server's Poisson arrivals.
        seed: random seed of the arrivals and of the order of samples.
    """

    scenario: LoadedScenario
    sampling: SamplingPlan
    samples: int = 1
    workers: int = 1
    target_per_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or not 1 <= self.workers <= _MOST_WORKERS or self.seed < 0:
            raise UsageError("A load plan takes 1 sample or more, 1 to 1,024 workers and a seed from 0.")
        if self.scenario == "server" and not 0 < self.target_per_s < float("inf"):
            raise UsageError(f"A server's load has target_per_s = {self.target_per_s}; expected more than 0.")

    def queries(self, each_s: float) -> int:
        """Compute the number of queries, which LoadGen has to know beforehand.

        Args:
            each_s: time of one query, or between two arrivals.
        """
        plan, each_s = self.sampling, max(each_s, 1e-9)
        least = plan.min_runs * (self.workers if self.scenario == "offline" else 1)
        wanted = max(least, min(plan.duration_s / each_s, plan.max_runs, _MOST_QUERIES))
        return max(1, round(min(wanted, plan.time_limit_s / each_s)))

    def inferences(self, each: int) -> int:
        """Count the successive inferences of a query if each takes `each` samples: 1 for offline and server."""
        return self.samples // each if self.scenario == "multi_stream" else 1


@dataclass(frozen=True)
class Loaded:
    """Result of a run of LoadGen.

    Attributes:
        block: as for a closed loop; for offline, `samples_ns` are the times from the start until each inference was
            done.
        batched: True if samples that arrived together ran as one inference, False if one after another.
        workers: number of threads that answered; 1 if the runtime infers for one thread at a time, despite the plan.
    """

    block: Block
    batched: bool
    workers: int
