"""Counts of the instructions of single inferences in several processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwbench.stats.intervals import Estimate


@dataclass(frozen=True)
class InstructionCounts:
    """The instructions of single inferences.

    Attributes:
        by: the means of counting, such as "valgrind 3.19.0".
        processes: of each process, one number per inference.
    """

    by: str
    processes: tuple[tuple[int, ...], ...]

    @property
    def per_inference(self) -> Estimate:
        """The median process's median inference, with the range of all processes."""
        medians = [float(np.median(each)) for each in self.processes]
        return Estimate(float(np.median(medians)), min(medians), max(medians))
