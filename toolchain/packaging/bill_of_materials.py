"""Bill of materials of a bundle (an ML-BOM), in CycloneDX 1.6 as JSON.

The bundle is a machine-learning model whose parts are its members; it depends on its runtime, and its pedigree names
the source that it was made from and the packages that made it. The model card, which `cyclonedx-python-lib` does not
write yet, is added to its output (https://cyclonedx.org/docs/1.6/json/#components_items_modelCard).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

import runtimes
from hwbench.measurements.report import NotMeasuredError, Report
from hwbench.results import profile_results
from runtimes.bundles.bundle import REPORT, Bundle
from runtimes.bundles.manifest import Manifest
from runtimes.errors import BundleError

_SPACE = uuid.UUID("9d1e0a2c-5f0e-4c86-9e0b-3a5d8a3a7c11")  # ours, for serial numbers that follow from a file's digest


def bill_of_materials(bundle: Bundle) -> str:
    """Write the bill of a bundle, whose bytes are checked first; equal bundles give equal bills.

    Raises:
        BundleError: the bundle was changed, or names no runtime.
        UsageError: its report is none that this release reads.
    """
    bundle.check()
    if not bundle.manifest.artifact.runtime:
        raise BundleError(f"'{bundle.path}' names no runtime, which a bill of materials has to list.")
    digest = _sha256(bundle.path)
    bom = Bom(serial_number=uuid.uuid5(_SPACE, digest))
    bom.metadata.timestamp = None  # equal bundles, equal bills
    bom.metadata.tools.components.add(_package("edgewright", runtimes.__version__, ComponentType.APPLICATION))
    model = _model(bundle, digest)
    bom.metadata.component = model
    manifest = bundle.manifest
    for name, member in manifest.members.items():
        kind = ComponentType.DATA if name != manifest.artifact.file.as_posix() else ComponentType.MACHINE_LEARNING_MODEL
        bom.components.add(Component(name=name, type=kind, bom_ref=name, hashes=[_hash(member.sha256)]))
    runtime = manifest.artifact.runtime
    bom.components.add(library := _package(runtime, manifest.artifact.tool_versions.get(runtime)))
    bom.register_dependency(model, [library])
    data: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    data["metadata"]["component"]["modelCard"] = _card(bundle)
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def _model(bundle: Bundle, digest: str) -> Component:
    manifest, release = bundle.manifest, bundle.manifest.release
    artifact = manifest.artifact
    source = Component(
        name=manifest.model,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="source",
        hashes=[_hash(artifact.source_sha256)],
    )
    return Component(
        name=manifest.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="bundle",
        version=str(release.version) if release is not None and release.version is not None else digest[:12],
        hashes=[_hash(digest)],
        pedigree=Pedigree(ancestors=[source]),
        properties=[Property(name=f"edgewright:{name}", value=value) for name, value in _properties(bundle, manifest)],
    )


def _properties(bundle: Bundle, manifest: Manifest) -> Iterator[tuple[str, str]]:
    artifact, release = manifest.artifact, manifest.release
    yield "profile", manifest.profile.name
    yield "precision", artifact.precision
    yield "runtime", artifact.runtime
    yield "threads", str(artifact.settings.threads)
    yield "signed", str(bundle.is_signed).lower()
    if release is not None and release.not_after is not None:
        yield "not_after", release.not_after
    for name, version in sorted(artifact.tool_versions.items()):
        yield f"made_by:{name}", version


def _card(bundle: Bundle) -> dict[str, Any]:
    artifact = bundle.manifest.artifact
    tensors = {
        kind: [{"format": str(spec)} for spec in specs]
        for kind, specs in (("inputs", artifact.inputs), ("outputs", artifact.outputs))
    }
    card: dict[str, Any] = {"modelParameters": tensors}
    if (report := _report(bundle)) is not None and (figures := list(_figures(report))):
        card["quantitativeAnalysis"] = {"performanceMetrics": figures}
    return card


def _report(bundle: Bundle) -> Report | None:
    if REPORT not in bundle.manifest.members:
        return None
    profiles = profile_results.from_json(bundle.read(REPORT), f"{bundle.path}: {REPORT}").profiles
    selected = profiles[0].selected if profiles else None
    return selected.report if selected is not None else None


def _figures(report: Report) -> Iterator[dict[str, Any]]:
    for quantity in report.figures:
        try:
            found = report.estimate(quantity)
        except NotMeasuredError:
            continue
        interval = {"lowerBound": f"{found.low:g}", "upperBound": f"{found.high:g}"}
        yield {"type": quantity, "value": f"{found.value:g}", "confidenceInterval": interval}


def _package(name: str, version: str | None, kind: ComponentType = ComponentType.LIBRARY) -> Component:
    return Component(
        name=name, version=version, type=kind, bom_ref=f"pkg:pypi/{name}", purl=PackageURL("pypi", None, name, version)
    )


def _hash(sha256: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
