"""Bills of materials: valid by the library's own schema, and with every part of the bundle."""

from __future__ import annotations

import hashlib
import json

import pytest

pytest.importorskip("cyclonedx", reason="the extra `sbom` is not installed")

from cyclonedx.schema import SchemaVersion

from runtimes.bundles import archive
from runtimes.bundles.bundle import MANIFEST, REPORT, Bundle


@pytest.fixture
def bill(cli, built_bundle):
    ran = cli("inspect", built_bundle, "--sbom")
    assert ran.code == 0, ran.err
    return ran.out


def test_the_schema_takes_it(bill):
    pytest.importorskip("jsonschema", reason="the library's validator is not installed")
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(bill) is None
    assert validator.validate_str(bill.replace('"machine-learning-model"', '"model"')) is not None


def test_it_names_every_member_the_source_and_the_runtime(bill, built_bundle):
    data = json.loads(bill)
    model = data["metadata"]["component"]
    digests = {one["name"]: one["hashes"][0]["content"] for one in data["components"] if "hashes" in one}
    with Bundle(built_bundle) as bundle:
        manifest = bundle.manifest
    assert digests == {name: member.sha256 for name, member in manifest.members.items()}
    assert model["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(built_bundle.read_bytes()).hexdigest()}]
    assert model["pedigree"]["ancestors"][0]["hashes"][0]["content"] == manifest.artifact.source_sha256
    assert f"pkg:pypi/onnxruntime@{manifest.artifact.tool_versions['onnxruntime']}" in [
        one.get("purl") for one in data["components"]
    ]
    metrics = {
        one["type"]: float(one["value"]) for one in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    }
    assert 0.8 < metrics["accuracy"] <= 1
    assert metrics["p90"] > 0
    assert model["modelCard"]["modelParameters"]["inputs"][0]["format"].startswith("image=float32")


def test_equal_bundles_give_equal_bills(bill, cli, built_bundle):
    assert cli("inspect", built_bundle, "--sbom").out == bill


def test_a_source_has_none(cli, digits):
    ran = cli("inspect", digits.onnx, "--sbom")
    assert ran.code == 2
    assert "--sbom is for a bundle" in ran.err


def test_inputs_are_not_for_a_bundle(cli, built_bundle):
    ran = cli("inspect", built_bundle, "--sbom", "--input", "image=float32[N,64]")
    assert (ran.code, ran.out) == (2, "")
    assert "leave out --input" in ran.err


def changed(bundle, path, report, **artifact):
    """Write a bundle with another report and other fields of the artifact, its digests right."""
    with Bundle(bundle) as opened:
        members = {name: opened.read(name) for name in sorted(opened.manifest.members)} | {REPORT: report}
        manifest = json.loads(opened.manifest_bytes)
    manifest["members"][REPORT] = {"sha256": hashlib.sha256(report).hexdigest(), "size_bytes": len(report)}
    manifest["artifact"] |= artifact
    with path.open("wb") as stream:
        archive.write(stream, {MANIFEST: json.dumps(manifest).encode(), **members})
    return path


def test_a_report_that_is_no_text_is_told(cli, built_bundle, tmp_path):
    ran = cli("inspect", changed(built_bundle, tmp_path / "odd.edge", b"\xff\xff{}"), "--sbom")
    assert (ran.code, ran.out) == (2, "")
    assert "report.json' is not a report" in ran.err


def test_a_runtime_whose_version_is_not_declared_is_named(cli, built_bundle, tmp_path):
    with Bundle(built_bundle) as bundle:
        report = bundle.read(REPORT)
    odd = changed(built_bundle, tmp_path / "odd.edge", report, tool_versions={"onnx": "1"})
    components = json.loads(cli("inspect", odd, "--sbom").out)["components"]
    assert "pkg:pypi/onnxruntime" in [one.get("purl") for one in components]
    odd = changed(built_bundle, tmp_path / "nameless.edge", report, runtime="")
    ran = cli("inspect", odd, "--sbom")
    assert (ran.code, ran.out) == (2, "")
    assert "names no runtime" in ran.err
