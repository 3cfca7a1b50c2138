"""Writer of bundles, whose bytes depend on their contents alone."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from runtimes.bundles import archive
from runtimes.bundles.bundle import MANIFEST, REPORT, golden_member, golden_shapes
from runtimes.bundles.manifest import SCHEMA_VERSION, Artifact, Golden, Manifest, Member
from runtimes.bundles.names import text_fault
from runtimes.codec import encode
from runtimes.errors import UsageError, one_line
from runtimes.files import replacing
from runtimes.profile import HardwareProfile
from runtimes.sample_arrays import RaggedArray, Rows
from runtimes.tensors import Array
from toolchain.calibration.distributions import distributions
from toolchain.quantizers import quantizer
from toolchain.recipes.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Contents:
    """The contents of a bundle.

    Attributes:
        model: the model's name.
        profile: the device.
        artifact: the file that the runtime loads.
        recipe: the recipe that the artifact was made by.
        golden_inputs: golden samples by input, first axis the samples; empty for a bundle that is only measured.
        golden_outputs: the outputs that the artifact computed for them.
        report: the text of report.json, or None.
        calibration: inputs and outputs by tensor name, for a device to compare its own with; may be empty.
    """

    model: str
    profile: HardwareProfile
    artifact: Artifact
    recipe: Recipe
    golden_inputs: Mapping[str, Rows]
    golden_outputs: Mapping[str, Rows]
    report: str | None = None
    calibration: Mapping[str, Rows] = dataclasses.field(default_factory=dict)


def pack(contents: Contents, path: Path) -> None:
    """Write a bundle atomically; equal contents give equal bytes.

    Raises:
        UsageError: the bundle would be too large, or a name in it could give orders to a terminal.
    """
    artifact = contents.artifact
    file = PurePosixPath("artifact", artifact.file.name)
    members = {str(file): artifact.file.read_bytes()}
    members.update(_golden_members("input", [spec.name for spec in artifact.inputs], contents.golden_inputs))
    members.update(_golden_members("output", [spec.name for spec in artifact.outputs], contents.golden_outputs))
    if contents.report is not None:
        members[REPORT] = contents.report.encode()
    first = next(iter(contents.golden_inputs.values()), None)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        model=contents.model,
        profile=dataclasses.replace(contents.profile, price_per_hour=None),  # the owner's business
        artifact=dataclasses.replace(artifact, file=Path(file)),
        golden=Golden(0 if first is None else len(first), _tolerance(contents)),
        recipe=encode(contents.recipe),
        members={name: Member(hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(members.items())},
        distributions=distributions(contents.calibration),
    )
    data = encode(manifest)
    if (fault := text_fault(data)) is not None:
        raise UsageError(f"A bundle of '{one_line(contents.model)}' {fault}; rename it in the model.")
    text = json.dumps(data, indent=1, sort_keys=True)
    with replacing(path) as beside, beside.open("wb") as stream:
        archive.write(stream, {MANIFEST: text.encode(), **dict(sorted(members.items()))})


def _tolerance(contents: Contents) -> float:
    """Find the golden tolerance of the least exact precision that the artifact computes in."""
    recipe, plan = contents.recipe, contents.artifact.plan
    # TF32 rounds factors to fp16's ten bits, and TensorRT may use it for what the graph calls float32.
    tf32 = ("fp16",) if plan is not None and "TF32" in plan.builder_flags else ()
    tolerance: float = max(quantizer(name).GOLDEN_TOLERANCE for name in (recipe.precision, recipe.keep_in, *tf32))
    return tolerance


def _golden_members(kind: str, names: list[str], arrays: Mapping[str, Rows]) -> dict[str, bytes]:
    if not arrays:
        return {}
    members = {}
    for index, name in enumerate(names):
        if name not in arrays:  # states need no golden arrays
            continue
        array = arrays[name]
        if isinstance(array, RaggedArray):
            members[golden_shapes(kind, index)] = _npy(array.shapes)
            array = array.padded
        members[golden_member(kind, index)] = _npy(array[:])
    return members


def _npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
