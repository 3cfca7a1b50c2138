"""The contents of the bundle that ships: the selected artifact, golden samples, distributions, and the report."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from hwbench.machine import device_profiles
from hwbench.measurements import interleaved
from hwbench.results import profile_results
from hwbench.results.profile_results import ProfileResult
from hwbench.targets import Runner
from runtimes.profile import HardwareProfile
from runtimes.sample_arrays import Rows
from toolchain.devices.confirm_on_device import pack_artifact
from toolchain.packaging.pack import Contents
from toolchain.pipeline.request import BuildRequest
from toolchain.search.trials import BuildContext, Trial

_GOLDEN_SAMPLES = 4  # a device replays them at every self-test, and the bundle carries them
_STEPS = 512  # of all sequences together, for a model with states
_DISTRIBUTION_SAMPLES = 64  # for the distributions that the device compares its own inputs and outputs with


def calibration_tensors(request: BuildRequest, context: BuildContext, selected: Trial) -> dict[str, Rows]:
    """Run the selected candidate on some samples, for the device to compare its own inputs and outputs with.

    Returns:
        Inputs and outputs by tensor name, first axis the samples; empty if all samples are random.
    """
    if selected.artifact is None or (request.calibration is None and request.evaluation is None):
        return {}
    data = context.calibration or context.scorer.samples
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        subset = interleaved.subset(data, data.first(_DISTRIBUTION_SAMPLES, _STEPS), Path(folder, "samples.npz"))
        outputs = interleaved.outputs(selected.bundle, subset.file, context.target)
        inputs = {name: array[:] for name, array in subset.arrays.items() if name not in data.states}
        return {**inputs, **outputs}


def bundle_contents(
    result: ProfileResult,
    selected: Trial,
    profile: HardwareProfile,
    context: BuildContext,
    calibration: dict[str, Rows],
    device: Runner | None = None,
) -> Contents:
    """Assemble the contents of the selected candidate's bundle, and compute its golden outputs.

    Args:
        result: the result for the profile.
        selected: the selected candidate.
        profile: the device.
        context: the parts that candidates share.
        calibration: inputs and outputs by tensor name, for the device to compare its own with.
        device: the emulated device, which computes the golden outputs of a candidate that it confirmed.
    """
    assert selected.artifact is not None
    assert result.selected is not None and result.selected.report is not None
    selected_only = dataclasses.replace(result, candidates=(result.selected,))
    data = context.scorer.samples
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        golden = interleaved.subset(data, data.first(_GOLDEN_SAMPLES, _STEPS), Path(folder, "golden.npz"))
        bundle, runner = _nearest(selected, profile, context, device)
        outputs = interleaved.outputs(bundle, golden.file, runner)
    return Contents(
        model=context.builder.name,
        profile=profile,
        artifact=result.selected.report.artifact,
        recipe=selected.candidate.recipe,
        golden_inputs={name: array[:] for name, array in golden.arrays.items()},
        golden_outputs=outputs,
        calibration=calibration,
        report=profile_results.to_json(profile_results.of([selected_only])),
    )


def _nearest(
    selected: Trial, profile: HardwareProfile, context: BuildContext, device: Runner | None
) -> tuple[Path, Runner]:
    """Choose the bundle and the machine whose outputs are the nearest to the device's.

    Integer kernels round after every layer, and exact arithmetic does not, so that outputs of a deep network differ by
    3 to 7%. Kernels that do not saturate round alike, so that CNNs agree on x86 and Arm; a transformer may
    still differ by 5%, where float32 operators between them differ in the last bits
    (benchmarks/results/accuracy_by_cpu.txt).
    """
    if device is not None and selected.device_bundle is not None:
        return selected.device_bundle, device
    machine = context.machine
    alike = all(
        device_profiles.sums_in_int32(*one) for one in ((machine.arch, machine.isa), (profile.arch, profile.cpu.isa))
    )
    if alike and profile.gpu is None and selected.candidate.runtime == "onnxruntime":
        return pack_artifact(selected, profile, context), context.target
    return selected.bundle, context.target
