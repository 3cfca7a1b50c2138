"""The request: everything that `edgewright build` is told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from hwbench.budgets.budget import Budget
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import SamplingPlan
from runtimes.tensors import TensorSpec
from toolchain.candidates.candidate import DEFAULT_CORRECTIONS
from toolchain.engines.shape_ranges import DimensionRanges


@dataclass(frozen=True)
class BuildRequest:
    """Everything that `edgewright build` is told.

    Attributes:
        source: a file, or MODULE:FACTORY.
        name: the model's name, which bundles are named after.
        metric: a metric's name, or FILE.py:FUNCTION; None for top1 with labels, parity without.
        profiles: one bundle is made for each.
        calibration: an .npz, or FILE.py:FACTORY.
        calibration_table: ranges for static int8, in place of observing the samples.
        precisions: what to try; all there are, if empty.
        runtimes: where to try it; all that the profile lists, if empty.
        corrections: what recovers int8's accuracy, in order.
        threads: in place of the profile's.
        plan: how long each measuring process goes on.
        ranges: sizes of dynamic dimensions, for engines; once per optimization profile.
        time_limit_s: how long the search may go on; what it has by then is packed.
        cache: a folder for what later builds can use again; None for no cache.
        fresh: use nothing that earlier builds left there.
        exhaustive: measure every planned candidate well, and search no further.
    """

    source: str
    name: str
    out: Path
    profiles: tuple[HardwareProfile, ...]
    inputs: tuple[TensorSpec, ...] = ()
    calibration: Path | None = None
    calibration_table: Path | None = None
    evaluation: Path | None = None
    metric: str | None = None
    precisions: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    corrections: tuple[str, ...] = DEFAULT_CORRECTIONS
    budgets: tuple[Budget, ...] = ()
    threads: int | None = None
    plan: SamplingPlan = dataclasses.field(default_factory=SamplingPlan)
    ranges: tuple[DimensionRanges, ...] = ()
    time_limit_s: float | None = None
    cache: Path | None = None
    fresh: bool = False
    exhaustive: bool = False
