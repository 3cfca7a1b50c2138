"""Confirmation of what would be selected for another device: its emulated processor computes the evaluation samples.

The search scores candidates by exact arithmetic, which is fast and true of no processor in particular. Emulation is
slow, so that only the selected candidate is confirmed; if that shows that it breaks a budget, the next one is.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from hwbench.measurements import interleaved
from hwbench.measurements.accuracy import Accuracy, computed_by
from hwbench.progress import begin_stage
from hwbench.targets import Runner
from hwbench.targets.emulated import EmulatedTarget, find_emulated
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from toolchain.candidates.build_cache import CachedRunner, CachedTarget
from toolchain.packaging.pack import Contents, pack
from toolchain.search.choose import Decision
from toolchain.search.trials import BuildContext, Trial

_LIMIT_S = 900.0  # of one candidate; a small network's thousand samples take a minute
_PROBED = 8  # samples that tell how long the others take

Choose = Callable[[Sequence[Trial]], Mapping[str, Decision]]
"""Judges trials, and decides on each that may be selected, by its name."""


def device_of(profile: HardwareProfile, machine: Machine) -> EmulatedTarget | None:
    """Find the emulated processor of a device; None if this machine has its kernels, or nobody set it up."""
    return None if device_profiles.has_same_kernels(profile, machine) else find_emulated(profile)


def confirm(
    trials: Sequence[Trial], choose: Choose, device: EmulatedTarget, context: BuildContext, limit_s: float = _LIMIT_S
) -> list[Trial]:
    """Score what would be selected as the device computes it, until the selected candidate was.

    Args:
        trials: all trials of the search.
        choose: decides which would be selected.
        device: the emulated device.
        context: the parts that candidates share.
        limit_s: the longest time for one candidate; what would take longer by an estimate from some samples, or does,
            keeps its score by exact arithmetic.
    """
    begin_stage(f"{device.profile.name}: computing as on the device")
    found, tried = {trial.name: trial for trial in trials}, set[str]()
    with context.clock.phase(), context.clock.ends(1.0):
        while True:
            decisions = choose(list(found.values()))
            selected = next((name for name, decision in decisions.items() if decision.is_selected), None)
            if selected is None or selected in tried or context.clock.is_over(1.0):
                break
            tried.add(selected)
            left_s = min(limit_s, context.clock.left_s())
            found[selected] = _confirmed(found[selected], device, context, left_s)
            context.tick(f"computed {selected} as on the device")
    return list(found.values())


def _confirmed(trial: Trial, device: EmulatedTarget, context: BuildContext, limit_s: float) -> Trial:
    assert trial.artifact is not None
    if trial.artifact.runtime != "onnxruntime":
        return trial
    bundle = pack_artifact(trial, device.profile, context)
    device = dataclasses.replace(device, run_limit_s=limit_s)  # the estimate may be wrong, and few samples have none
    try:
        accuracy = _score(bundle, trial, device, context, limit_s)
    except EdgewrightError as error:
        return _remarked(trial, f"it could not be computed as on the device: {error}")
    if accuracy is None:
        return _remarked(trial, f"computing all samples as on the device would take longer than {limit_s:.0f} s")
    return dataclasses.replace(trial, accuracy=accuracy, device_bundle=bundle)


def pack_artifact(trial: Trial, profile: HardwareProfile, context: BuildContext) -> Path:
    """Pack the artifact itself, where the trial's bundle may hold a stand-in for it."""
    assert trial.artifact is not None
    bundle = trial.artifact.file.parent / "device.edge"
    pack(Contents(context.builder.name, profile, trial.artifact, trial.candidate.recipe, {}, {}), bundle)
    return bundle


def _score(
    bundle: Path, trial: Trial, device: EmulatedTarget, context: BuildContext, limit_s: float
) -> Accuracy | None:
    """Score a bundle on the evaluation samples; None if that would take longer than the limit."""
    samples = context.scorer.samples
    if samples.n > 2 * _PROBED:
        one, some = (_seconds(bundle, device, context, count) for count in (1, 1 + _PROBED))
        if one + max(some - one, 0.0) / _PROBED * samples.n > limit_s:
            return None
    runner = _cached(device, context)
    found = context.scorer.score(interleaved.outputs(bundle, samples.file, runner))
    if context.unlabelled is not None:
        found = context.unlabelled.settle(found, lambda file: interleaved.outputs(bundle, file, runner))
    found = computed_by(found, f"an {device.name}")
    if trial.accuracy is None or not trial.accuracy.is_source:
        return found
    each = [dataclasses.replace(one, is_source=True) for one in found.each]
    return dataclasses.replace(each[0], others=tuple(each[1:]))


def _cached(device: EmulatedTarget, context: BuildContext) -> Runner:
    """Answer from the build's cache, if it has one, what the emulated device computed before."""
    if not isinstance(context.target, CachedTarget):
        return device
    machine = dataclasses.replace(context.machine, cpu=device.name, system=device.sysroot.folder.name)
    return CachedRunner(device, context.target.cache, machine)


def _seconds(bundle: Path, device: EmulatedTarget, context: BuildContext, samples: int) -> float:
    """Run some samples, and return the seconds that it took."""
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        some = interleaved.subset(context.scorer.samples, range(samples), Path(folder, "samples.npz"))
        start = time.monotonic()
        interleaved.outputs(bundle, some.file, device)
        return time.monotonic() - start


def _remarked(trial: Trial, why: str) -> Trial:
    return dataclasses.replace(trial, remark="; ".join(filter(None, (trial.remark, why))))


def accuracy_note(profile: HardwareProfile, selected: Trial | None, machine: Machine) -> tuple[str, ...]:
    """Write the note on what computed a device's accuracy; none if this machine has its kernels."""
    if device_profiles.has_same_kernels(profile, machine):
        return ()
    if selected is not None and selected.accuracy is not None and selected.device_bundle is not None:
        return (
            f"Accuracy and golden outputs of {selected.name} are as on the device: {selected.accuracy.computed_by} "
            "computed them. Other candidates' were computed on this machine.",
        )
    exactly = "by exact arithmetic " if selected is not None and selected.computed_by == "exact arithmetic" else ""
    here = (
        f"Accuracy was computed {exactly}on this machine ({machine.arch}); the device's kernels may round differently."
    )
    if profile.emulation is None or selected is None or selected.candidate.runtime != "onnxruntime":
        return (here,)
    return (f"{here} edgewright targets setup {profile.name} lets a build compute it as on the device.",)
