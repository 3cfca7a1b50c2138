"""Accuracy by processor: one bundle on every CPU profile, by the best way that this machine has for it."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwbench.emulation import proofs
from hwbench.emulation.proofs import Way
from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from hwbench.measurements import interleaved
from hwbench.progress import Tick
from hwbench.results.measure_bundles import Evaluation, report_of
from hwbench.results.opened_bundle import OpenedBundle, open_bundle
from hwbench.targets import Runner
from hwbench.targets.emulated import open_emulated
from hwbench.targets.local import LocalTarget
from runtimes import npz
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.sample_arrays import Rows
from runtimes.verification.golden import largest_error, relative_error
from toolchain.devices.exact_bundle import exact_bundle

AS_WRITTEN = "as written"
"""Name of the row of exact arithmetic, which is of no processor in particular."""


@dataclass(frozen=True)
class MatrixRow:
    """What one processor computes.

    Attributes:
        profile: the device's name, or `AS_WRITTEN`.
        way: how its outputs were computed here.
        scores: the value of each metric, by its name; empty without labelled samples, or if there are no outputs.
        samples: number of samples.
        error: the largest ||y - exact|| / ||exact|| of an output over all samples.
        note: what computed it, or the reason why nothing did.
    """

    profile: str
    way: Way
    scores: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0
    error: float | None = None
    note: str = ""


def matrix(
    bundle: Path,
    profiles: Sequence[HardwareProfile],
    machine: Machine,
    tick: Tick,
    evaluation: Evaluation | None = None,
) -> list[MatrixRow]:
    """Compute a bundle's outputs as each processor does, and compare them with exact arithmetic.

    Args:
        bundle: the bundle, of any profile.
        profiles: CPU profiles.
        machine: this machine.
        tick: called after each row.
        evaluation: labelled samples; None for the bundle's golden samples, without a metric.

    Returns:
        A row of exact arithmetic, then one for each profile; a processor that cannot be computed here has the reason.

    Raises:
        BundleError: the bundle was refused.
        UnsupportedError: it holds no ONNX file.
        BackendError: it cannot be run by exact arithmetic.
        UsageError: the samples or a metric do not fit.
    """
    item = open_bundle(bundle)
    with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
        scorer = _Scorer(item, evaluation, Path(work, "golden.npz"), machine)
        exact = scorer.row(AS_WRITTEN, "exact arithmetic", exact_bundle(bundle, Path(work)), LocalTarget())
        tick("computed as written")
        rows, native = [exact], None
        for profile in profiles:
            proof = proofs.here(profile, machine)
            if proof.way == "native":
                native = native or _native(scorer, bundle)
                rows.append(dataclasses.replace(native, profile=profile.name))
            elif proof.way == "emulated" and proof.is_ready:
                rows.append(_emulated(scorer, profile, bundle))
            elif proof.way == "emulated":
                rows.append(_not_computed(profile.name, "emulated", proof.missing))
            else:
                rows.append(dataclasses.replace(exact, profile=profile.name, note=proof.note))
            tick(f"computed as {profile.name}")
        return rows


def cpu_profiles() -> list[HardwareProfile]:
    """Load the profiles of processors, without those of GPUs."""
    return [profile for profile in map(device_profiles.load, device_profiles.names()) if profile.gpu is None]


def _native(scorer: _Scorer, bundle: Path) -> MatrixRow:
    try:
        return scorer.row("", "native", bundle, LocalTarget(), "this machine's kernels")
    except EdgewrightError as error:  # the bundle may be for a runtime that is not here; other rows are worth showing
        return _not_computed("", "native", error)


def _emulated(scorer: _Scorer, profile: HardwareProfile, bundle: Path) -> MatrixRow:
    try:
        device = open_emulated(profile)
        return scorer.row(profile.name, "emulated", bundle, device, device.name)
    except EdgewrightError as error:  # the other rows are worth showing
        return _not_computed(profile.name, "emulated", error)


def _not_computed(profile: str, way: Way, why: object) -> MatrixRow:
    return MatrixRow(profile, way, note=f"not computed: {why}")


@dataclass
class _Scorer:
    """The samples of all rows, and the outputs of the first one, which is exact.

    Attributes:
        golden: the file for the golden samples.
        machine: this machine.
    """

    item: OpenedBundle
    evaluation: Evaluation | None
    golden: Path
    machine: Machine
    exact: Mapping[str, Rows] = field(default_factory=dict)

    def row(self, profile: str, way: Way, bundle: Path, runner: Runner, note: str = "") -> MatrixRow:
        """Run a bundle on the samples, and compare its outputs."""
        recorder = _Recorder(runner)
        accuracy = None
        if self.evaluation is None:
            npz.write(self.golden, self.item.inputs)
            interleaved.outputs(bundle, self.golden, recorder)
        else:
            item = dataclasses.replace(self.item, path=bundle)
            accuracy = report_of(item, None, "", self.evaluation, recorder, self.machine).accuracy
        self.exact = self.exact or recorder.outputs
        errors = [largest_error(relative_error, recorder.outputs[name], rows) for name, rows in self.exact.items()]
        error = float(np.max(errors))  # NaN stays NaN
        if accuracy is None:
            return MatrixRow(profile, way, samples=self.item.manifest.golden.samples, error=error, note=note)
        return MatrixRow(profile, way, {one.metric: one.value for one in accuracy.each}, accuracy.n, error, note)


@dataclass
class _Recorder:
    """A runner that keeps the outputs of its last run."""

    runner: Runner
    outputs: Mapping[str, Rows] = field(default_factory=dict)

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """See `Runner`."""
        self.runner.run(bundle, inputs, outputs)
        self.outputs = npz.read(outputs)
