"""Attestations: what a device that demands a passed gate opens, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

import pytest

import runtimes
from runtimes.bundles.bundle import Bundle
from runtimes.errors import BundleError, SignatureError, UsageError
from runtimes.verification.attestation import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    attestation_file,
    check_passed,
    write_signed,
)
from toolchain.packaging.pack import pack

signing = pytest.importorskip("runtimes.bundles.signing", reason="signing needs cryptography", exc_type=ImportError)


@pytest.fixture
def keys(tmp_path):
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    def make(name):
        key = Ed25519PrivateKey.generate()
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}-public.pem"
        private.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
        return private, public

    return make


@pytest.fixture
def signed(contents, tmp_path, keys):
    """A signed bundle, its keys, and a function that attests a result on it."""
    path = tmp_path / "model.edge"
    pack(dataclasses.replace(contents, report=None), path)
    private, public = keys("ours")
    with Bundle(path) as bundle:
        signing.sign(bundle, signing.read_private_key(private), path)

    def attest(result="PASSED", key=private, **changes):
        with Bundle(path) as bundle:
            digest = bundle.file_sha256()
        statement = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": path.name, "digest": {"sha256": digest}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {"result": result, "configuration": []},
        }
        write_signed({**statement, **changes}, key, attestation_file(path))

    return path, public, attest


def test_a_bundle_that_passed_is_opened(signed):
    path, public, attest = signed
    attest()
    with runtimes.load(path, public_key=public, any_machine=True, require="passed") as session:
        assert session.inputs


@pytest.mark.parametrize("result", ["FAILED", "WARNED", None, ["PASSED"]])
def test_another_result_is_refused(signed, result):
    path, public, attest = signed
    attest(result)
    with pytest.raises(BundleError, match="did not pass"):
        runtimes.load(path, public_key=public, any_machine=True, require="passed")


def test_without_an_attestation_or_a_key_nothing_is_opened(signed):
    path, public, _ = signed
    with pytest.raises(UsageError, match="no attestation"):
        runtimes.load(path, public_key=public, any_machine=True, require="passed")
    with pytest.raises(UsageError, match="public key"):
        runtimes.load(path, any_machine=True, require="passed")
    with pytest.raises(UsageError, match="'good'"):
        runtimes.load(path, public_key=public, any_machine=True, require="good")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="require"):
        runtimes.load(path, public_key=public, any_machine=True, attestation="x.json")


def test_an_attestation_by_another_key_or_of_another_file_is_refused(signed, keys):
    path, public, attest = signed
    attest(key=keys("theirs")[0])
    with pytest.raises(SignatureError, match="not signed by"):
        runtimes.load(path, public_key=public, any_machine=True, require="passed")
    attest(subject=[{"name": path.name, "digest": {"sha256": "0" * 64}}])
    with pytest.raises(BundleError, match="another file"):
        runtimes.load(path, public_key=public, any_machine=True, require="passed")
    attest(predicateType="https://in-toto.io/attestation/vulns/v0.1")
    with pytest.raises(BundleError, match="something else"):
        runtimes.load(path, public_key=public, any_machine=True, require="passed")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"payloadType": 1}', b" " * (1 << 21)]
)
def test_what_is_no_attestation_is_refused(signed, content):
    path, public, _ = signed
    attestation_file(path).write_bytes(content)
    with Bundle(path) as bundle, pytest.raises(BundleError):
        check_passed(bundle, attestation_file(path), public)


def test_a_changed_payload_is_refused(signed):
    path, public, attest = signed
    attest("FAILED")
    envelope = json.loads(attestation_file(path).read_text())
    attest("PASSED")
    passed = json.loads(attestation_file(path).read_text())
    attestation_file(path).write_text(json.dumps({**passed, "signatures": envelope["signatures"]}))
    with Bundle(path) as bundle, pytest.raises(SignatureError):
        check_passed(bundle, attestation_file(path), public)


def test_signatures_that_are_no_list_are_none(signed):
    path, public, attest = signed
    attest()
    file = attestation_file(path)
    file.write_text(json.dumps({**json.loads(file.read_text()), "signatures": 5}))
    with Bundle(path) as bundle, pytest.raises(SignatureError):
        check_passed(bundle, file, public)
