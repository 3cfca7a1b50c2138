"""Stand-ins for artifacts of other devices: the same typed graph, as written, on ONNX Runtime."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hwbench.machine import device_profiles
from hwbench.machine.identity import Machine
from runtimes.backends import engine_backend
from runtimes.backends import onnxruntime as backend
from runtimes.bundles.manifest import Artifact
from runtimes.errors import NotInstalledError, UnsupportedError
from runtimes.profile import HardwareProfile
from toolchain.builders import onnxruntime
from toolchain.graphs.unsigned_weights import with_unsigned_weights
from toolchain.models.onnx_model import OnnxModel, load_ir, save_ir
from toolchain.recipes.recipe import Recipe


def obstacle(artifact: Artifact) -> str | None:
    """Find the reason why an artifact cannot run here: another GPU, or a missing package; None if it can run."""
    if artifact.plan is None:
        return None
    try:
        engines = engine_backend(artifact.runtime)
        memory = engines.open_memory()
    except (NotInstalledError, UnsupportedError) as error:
        return str(error)
    if memory.compute_capability != artifact.plan.compute_capability:
        return (
            f"The engine is for compute capability {artifact.plan.compute_capability}, and this GPU is {memory.name}, "
            f"{memory.compute_capability}."
        )
    if artifact.is_compiled_on_device:
        return f"The plan is for {artifact.runtime} {artifact.plan.version}, and {engines.version()} is installed here."
    return None


def is_foreign(artifact: Artifact, profile: HardwareProfile, machine: Machine) -> bool:
    """Tell whether an ONNX Runtime artifact is for another device, whose kernels may saturate at other values."""
    return artifact.runtime == "onnxruntime" and not device_profiles.fits(profile, machine)


def stand_in(artifact: Artifact, model: OnnxModel, recipe: Recipe, folder: Path) -> Artifact:
    """Write the graph of an artifact for another device as an ONNX Runtime artifact.

    It computes the graph's own arithmetic on every processor; the device's kernels may round differently.

    Args:
        artifact: the engine, or the ONNX Runtime artifact for the device.
        model: the variant it was built from.
        recipe: how the variant was made.
        folder: the folder for the stand-in, which is made.
    """
    folder.mkdir()
    graph = load_ir(model.path)
    unsigned = with_unsigned_weights(graph)
    if unsigned is not graph:
        model = dataclasses.replace(model, path=save_ir(unsigned, folder / "unsigned.onnx").path)
    return onnxruntime.build(model, recipe, backend.exact_settings(artifact.settings.threads), folder)
