"""Request for a build: everything that `edgewright build` is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwbench.budgets import BUILD_CONFIDENCE
from hwbench.budgets.budget import Budget
from runtimes.profile import HardwareProfile
from runtimes.sampling.closed_loop import SamplingPlan
from runtimes.tensors import TensorSpec
from toolchain.candidates.defaults import DEFAULT_CORRECTIONS
from toolchain.engines.shape_ranges import DimensionRanges


@dataclass(frozen=True)
class BuildRequest:
    """Everything that `edgewright build` is told. Each field is named after the command's parameter.

    Attributes:
        source: a file, or MODULE:FACTORY.
        name: the model's name, which bundles are named after.
        out: the folder for the results.
        profiles: the devices; one bundle is made for each.
        inputs: the model's inputs, for a source that does not describe them.
        outputs: new names for the model's first outputs.
        output_rows: number of rows of outputs whose sizes depend on the data; None leaves them as they are.
        states: outputs, by the inputs that take them at the next step; samples are then sequences of steps.
        calibration: samples as an .npz, or FILE.py:FACTORY.
        calibration_table: ranges for static int8, in place of observing the samples.
        evaluation: samples with labels, as an .npz.
        unlabelled: further samples without labels, as an .npz.
        metrics: metrics' names, or FILE.py:FUNCTION, by the first of which candidates are ordered; none for top1 with
            labels, parity without.
        precisions: precisions to try; all there are, if empty.
        runtimes: runtimes to try; all that the profile lists, if empty.
        corrections: corrections that recover int8's accuracy, in order.
        budgets: limits that the selected candidate has to meet.
        confidence: the confidence that a verdict on accuracy takes, from 0.5 to 1.
        threads: the most threads per inference, in place of the profile's.
        sampling: how long each measuring process measures.
        ranges: sizes of dynamic dimensions, for engines; once per optimization profile.
        time_limit_s: the longest that the search may take, in seconds; the best so far is packed then.
        cache: a folder for what later builds can use again; None for no cache.
        fresh: use no measurement that an earlier build left in the cache.
        trusted: read the source although it holds what runs as code.
        exhaustive: measure every candidate of the start well, and search no further.
    """

    source: str
    name: str
    out: Path
    profiles: tuple[HardwareProfile, ...]
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[str, ...] = ()
    output_rows: int | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    calibration: Path | None = None
    calibration_table: Path | None = None
    evaluation: Path | None = None
    unlabelled: Path | None = None
    metrics: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    corrections: tuple[str, ...] = DEFAULT_CORRECTIONS
    budgets: tuple[Budget, ...] = ()
    confidence: float = BUILD_CONFIDENCE
    threads: int | None = None
    sampling: SamplingPlan = field(default_factory=SamplingPlan)
    ranges: tuple[DimensionRanges, ...] = ()
    time_limit_s: float | None = None
    cache: Path | None = None
    fresh: bool = False
    trusted: bool = False
    exhaustive: bool = False


def result_files(request: BuildRequest) -> tuple[Path, ...]:
    """List the files that a build may write: a bundle per profile, and the reports."""
    bundles = dict.fromkeys(f"{request.name}-{profile.name}.edge" for profile in request.profiles)
    return tuple(request.out / name for name in (*bundles, "report.json", "report.html"))
