"""Signatures in OpenSSF's format: checked by its own tool, which has none of our code."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

pytest.importorskip("cryptography", reason="the extra `sign` is not installed")

from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

TOOL = (sys.executable, "-m", "model_signing")


def write(folder, name, key):
    private, public = folder / f"{name}.pem", folder / f"{name}-public.pem"
    private.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def bundle(built_bundle, tmp_path):
    return shutil.copy(built_bundle, tmp_path / "x.edge")


def verifies(bundle, signature, public):
    command = [*TOOL, "verify", "key", bundle, "--signature", signature, "--public_key", public]
    return subprocess.run(command, capture_output=True, timeout=100).returncode == 0


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_its_own_tool_verifies_it(cli, bundle, tmp_path, curve):
    pytest.importorskip("model_signing", reason="the extra `model-signing` is not installed")
    private, public = write(tmp_path, "ours", ec.generate_private_key(curve))
    _, other = write(tmp_path, "other", ec.generate_private_key(curve))
    before = bundle.read_bytes()
    ran = cli("sign", bundle, "--key", private, "--detached", tmp_path / "x.sig")
    assert ran.code == 0, ran.err
    assert bundle.read_bytes() == before
    assert verifies(bundle, tmp_path / "x.sig", public)
    assert not verifies(bundle, tmp_path / "x.sig", other)
    bundle.write_bytes(before[:-1] + b"x")
    assert not verifies(bundle, tmp_path / "x.sig", public)


def test_what_it_cannot_sign_with(cli, bundle, tmp_path):
    pytest.importorskip("model_signing", reason="the extra `model-signing` is not installed")
    (tmp_path / "none.pem").write_text("none")
    ed, _ = write(tmp_path, "ed", ed25519.Ed25519PrivateKey.generate())
    odd, _ = write(tmp_path, "odd", ec.generate_private_key(ec.SECP256K1()))
    for key, words in ((ed, "not of an elliptic curve"), (odd, "secp256k1"), (tmp_path / "none.pem", "no private key")):
        ran = cli("sign", bundle, "--key", key, "--detached", tmp_path / "x.sig")
        assert ran.code == 2
        assert words in ran.err
        assert "openssl ecparam" in ran.err
    assert not (tmp_path / "x.sig").exists()


def test_options_that_would_change_the_bundle_are_refused(cli, bundle, tmp_path):
    private, _ = write(tmp_path, "ours", ec.generate_private_key(ec.SECP256R1()))
    for option in (("--out", tmp_path / "y.edge"), ("--version", 3), ("--not-after", "2100-01-01")):
        ran = cli("sign", bundle, "--key", private, "--detached", tmp_path / "x.sig", *option)
        assert ran.code == 2
        assert "leave out --out, --version and --not-after" in ran.err
    ran = cli("sign", bundle, "--key", private, "--detached", private)
    assert "must not be replaced" in ran.err
