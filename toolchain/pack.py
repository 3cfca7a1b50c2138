"""Write a bundle: a zip of stored members whose bytes depend on nothing but what goes in."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from runtimes.artifact import SCHEMA_VERSION, Artifact, Golden, Manifest, Member
from runtimes.bundle import MANIFEST, REPORT, golden_member
from runtimes.codec import encode
from runtimes.files import replacing
from runtimes.profile import HardwareProfile
from runtimes.tensors import Array
from toolchain.candidates import quantizer
from toolchain.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Contents:
    """What goes into a bundle.

    Attributes:
        golden_inputs: samples first; may be empty for a bundle that only measures.
        golden_outputs: what the artifact computed for them.
        report: the text of report.json, or None.
    """

    model: str
    profile: HardwareProfile
    artifact: Artifact
    recipe: Recipe
    golden_inputs: Mapping[str, Array]
    golden_outputs: Mapping[str, Array]
    report: str | None = None


def pack(contents: Contents, path: Path) -> None:
    """Write a bundle atomically; equal contents give equal bytes."""
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
        profile=contents.profile,
        artifact=dataclasses.replace(artifact, file=Path(file)),
        golden=Golden(0 if first is None else len(first), _tolerance(contents)),
        recipe=encode(contents.recipe),
        members={name: Member(hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(members.items())},
    )
    text = json.dumps(encode(manifest), indent=1, sort_keys=True)
    with replacing(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {MANIFEST: text.encode(), **dict(sorted(members.items()))}.items():
            info = zipfile.ZipInfo(name)  # its default time stamp is 1980-01-01
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)


def _tolerance(contents: Contents) -> float:
    tolerance: float = quantizer(contents.recipe.precision).GOLDEN_TOLERANCE
    plan = contents.artifact.plan
    # TF32 rounds factors to fp16's ten bits, and TensorRT may use it for what the graph calls float32.
    tf32 = quantizer("fp16").GOLDEN_TOLERANCE if plan is not None and "TF32" in plan.builder_flags else 0.0
    return max(tolerance, tf32)


def _golden_members(kind: str, names: list[str], arrays: Mapping[str, Array]) -> dict[str, bytes]:
    if not arrays:
        return {}
    members = {}
    for index, name in enumerate(names):
        buffer = io.BytesIO()
        np.save(buffer, arrays[name], allow_pickle=False)
        members[golden_member(kind, index)] = buffer.getvalue()
    return members
