"""Signed bundles: by whom, over what, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_parts import BundleParts, data_ranges
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as some

pytest.importorskip("cryptography", reason="the extra `sign` is not installed")

from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import runtimes
from runtimes.__main__ import main
from runtimes.bundles import signing
from runtimes.bundles.bundle import SIGNATURE, Bundle
from runtimes.bundles.ed25519 import is_signature
from runtimes.errors import SignatureError, TamperedError, UsageError
from runtimes.verification.self_test import self_test
from toolchain.cli.sign import command as sign_command


def write_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A private and a public key file."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}-public.pem"
    private.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_keys(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture
def signed(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> Path:
    path = Path(shutil.copy(bundle, tmp_path / "signed.edge"))
    done = CliRunner().invoke(sign_command, [str(path), "--key", str(keys[0])])
    assert done.exit_code == 0, done.output
    assert done.output == f"Signed: {path}\n"
    return path


def test_a_signed_bundle_loads_with_its_key_and_without(signed: Path, keys: tuple[Path, Path]) -> None:
    runtimes.load(signed, public_key=keys[1]).close()
    runtimes.load(signed, public_key=str(keys[1])).close()
    runtimes.load(signed).close()
    assert self_test(signed, public_key=keys[1]).signature == "signed by the owner of the key"
    assert self_test(signed).signature.startswith("signed, but not checked")


def test_signing_changes_nothing_else_and_is_deterministic(
    signed: Path, bundle: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    before, after = BundleParts(bundle), BundleParts(signed)
    assert after.members.pop(SIGNATURE)
    assert (after.members, after.manifest) == (before.members, before.manifest)
    again = tmp_path / "again.edge"
    assert CliRunner().invoke(sign_command, [str(signed), "--key", str(keys[0]), "--out", str(again)]).exit_code == 0
    assert again.read_bytes() == signed.read_bytes()


def test_openssl_verifies_the_same(signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this machine")
    with Bundle(signed) as opened:
        (tmp_path / "manifest").write_bytes(opened.manifest_bytes)
    (tmp_path / "signature").write_bytes(BundleParts(signed).members[SIGNATURE])
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(keys[1])]
    done = subprocess.run([*command, "-in", tmp_path / "manifest", "-sigfile", tmp_path / "signature"], check=False)
    assert done.returncode == 0


def test_an_unsigned_bundle_is_refused_where_a_key_is_given(bundle: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(SignatureError, match=r"is not signed; sign it with edgewright sign, or load it without a key"):
        runtimes.load(bundle, public_key=keys[1])


def test_another_s_key_is_refused(signed: Path, tmp_path: Path) -> None:
    _, other = write_keys(tmp_path, "other")
    with pytest.raises(
        SignatureError, match=r"is not signed by the owner of '.*other-public.pem', or was changed since"
    ):
        runtimes.load(signed, public_key=other)


def test_a_manifest_that_was_changed_and_sealed_again_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    parts = BundleParts(signed)
    signature = parts.members.pop(SIGNATURE)
    parts.members["artifact/model.onnx"] += b" "
    parts.seal()
    parts.members[SIGNATURE] = signature
    parts.write(signed)
    with pytest.raises(SignatureError, match="was changed since"):
        runtimes.load(signed, public_key=keys[1])


@pytest.mark.parametrize("length", [0, 63, 64, 65])
def test_signatures_that_are_none(signed: Path, keys: tuple[Path, Path], length: int) -> None:
    parts = BundleParts(signed)
    parts.members[SIGNATURE] = bytes(length)
    parts.write(signed)
    with pytest.raises(SignatureError):
        runtimes.load(signed, public_key=keys[1])
    if length != 64:
        with pytest.raises(TamperedError, match=f"'{SIGNATURE}' has {length} bytes; signatures have 64"):
            runtimes.load(signed)


def test_every_changed_byte_of_a_signed_bundle_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    content = signed.read_bytes()
    for position in range(0, len(content), 41):
        signed.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(runtimes.BundleError), Bundle(signed, keys[1]) as opened:
            opened.check()


@pytest.mark.parametrize("member", ["report.json", "golden/input-0.npy", "artifact/model.onnx"])
def test_loading_with_a_key_checks_every_member(signed: Path, keys: tuple[Path, Path], member: str) -> None:
    content, position = bytearray(signed.read_bytes()), data_ranges(signed)[member][-1]
    content[position] ^= 1
    signed.write_bytes(content)
    with pytest.raises(TamperedError, match=f"the bytes of '{member}' are not those that were packed"):
        runtimes.load(signed, public_key=keys[1])


def test_keys_that_are_none(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    secret = "c2VjcmV0LXNlY3JldA=="
    bad = tmp_path / "bad.pem"
    bad.write_text(f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n")
    locked = Ed25519PrivateKey.generate().private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"x")
    )
    (tmp_path / "locked.pem").write_bytes(locked)
    curve = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "curve.pem").write_bytes(
        curve.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    (tmp_path / "curve-public.pem").write_bytes(
        curve.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    )
    for path, reason in (
        (bad, "holds no private key in PEM"),
        (keys[1], "holds no private key in PEM"),
        (tmp_path / "locked.pem", "has a passphrase"),
        (tmp_path / "curve.pem", "is not an Ed25519 key"),
        (tmp_path / "none.pem", "cannot be read: No such file"),
    ):
        with pytest.raises(UsageError, match=reason) as error:
            signing.read_private_key(path)
        assert secret not in str(error.value)
    for path, reason in (
        (bad, "holds no public key in PEM"),
        (keys[0], "holds no public key in PEM"),
        (tmp_path / "curve-public.pem", "is not an Ed25519 key"),
        (tmp_path / "none.pem", "cannot be read: No such file"),
    ):
        with pytest.raises(UsageError, match=reason):
            runtimes.load(bundle, public_key=path)


def test_no_key_enters_the_bundle(signed: Path, keys: tuple[Path, Path]) -> None:
    content = signed.read_bytes()
    for key in keys:
        body = b"".join(key.read_bytes().splitlines()[1:-1])
        assert body not in content
    private = signing.read_private_key(keys[0]).private_bytes_raw()
    assert private not in content
    assert private.hex().encode() not in content


def test_a_tampered_bundle_is_not_signed(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    parts = BundleParts(bundle)
    parts.members["report.json"] = parts.members["report.json"].replace(b"none", b"nine")
    path = parts.write(tmp_path / "x.edge")
    before = path.read_bytes()
    done = CliRunner().invoke(sign_command, [str(path), "--key", str(keys[0])])
    assert isinstance(done.exception, TamperedError)
    assert path.read_bytes() == before


def test_the_device_s_command_line_takes_the_key(
    signed: Path, bundle: Path, keys: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(signed), "--public-key", str(keys[1])]) == 0
    assert "all digests match; signed by the owner of the key" in capsys.readouterr().out
    assert main(["verify", str(bundle), "--public-key", str(keys[1])]) == 2
    assert "is not signed" in capsys.readouterr().err
    assert main(["compile", str(bundle), "--public-key", str(keys[1])]) == 2
    assert "is not signed" in capsys.readouterr().err
    assert main(["verify", str(bundle)]) == 0
    assert "not signed" in capsys.readouterr().out


@given(some.binary(min_size=32, max_size=32), some.binary(max_size=50))
def test_every_signature_has_the_form_of_one(seed: bytes, text: bytes) -> None:
    assert is_signature(Ed25519PrivateKey.from_private_bytes(seed).sign(text))


@pytest.mark.parametrize("content", [bytes(64), b"\xff" * 64, b"signature" * 7 + b"!", bytes(32) + b"\xff" * 32])
def test_a_signature_that_is_none_is_refused_without_a_key(parts: BundleParts, tmp_path: Path, content: bytes) -> None:
    parts.members[SIGNATURE] = content
    with pytest.raises(TamperedError, match=r"'signature\.ed25519' is no signature"):
        Bundle(parts.write(tmp_path / "x.edge"))


def test_a_file_with_two_keys_is_no_key(keys: tuple[Path, Path], tmp_path: Path) -> None:
    for key, read in zip(keys, (signing.read_private_key, signing.read_public_key)):
        (both := tmp_path / "both.pem").write_bytes(key.read_bytes() * 2)
        with pytest.raises(UsageError, match=r"holds more than one key"):
            read(both)


@pytest.mark.parametrize("read", [signing.read_private_key, signing.read_public_key])
def test_a_key_without_an_end_is_refused(read: Callable[[Path], object]) -> None:
    with pytest.raises(UsageError, match="too large for a key"):
        read(Path("/dev/zero"))
