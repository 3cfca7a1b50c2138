"""Bundle that computes exactly what another bundle's graph says, on any processor."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from runtimes.bundles.bundle import Bundle
from runtimes.codec import decode
from runtimes.errors import UnsupportedError
from toolchain.candidates.emulated_engine import stand_in
from toolchain.models.onnx_model import open_model
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe


def exact_bundle(bundle: Path, folder: Path) -> Path:
    """Pack the graph of a bundle under settings that compute it as written.

    Args:
        bundle: a bundle that holds an ONNX file: one for ONNX Runtime, or one with a plan for TensorRT.
        folder: an empty folder for the file.

    Raises:
        BundleError: the bundle was refused.
        UnsupportedError: it holds no ONNX file.
    """
    with Bundle(bundle) as opened:
        manifest = opened.manifest
        artifact = manifest.artifact
        if artifact.file.suffix != ".onnx":
            raise UnsupportedError(
                f"'{bundle}' is for {artifact.runtime}; exact arithmetic takes a bundle that holds an ONNX file."
            )
        model = folder / "model.onnx"
        model.write_bytes(opened.read(artifact.file.as_posix()))
    recipe = decode(Recipe, manifest.recipe, f"{bundle}: recipe")
    made = stand_in(artifact, open_model(model), recipe, folder / "exact")
    made = dataclasses.replace(made, states=artifact.states, limits=artifact.limits)
    path = folder / "exact.edge"
    pack(Contents(manifest.model, manifest.profile, made, recipe, {}, {}), path)
    return path
