"""Ed25519 signatures of bundles (RFC 8032), by the `cryptography` package.

Keys are PEM files, as `openssl` writes them:

openssl genpkey -algorithm ed25519 -out key.pem
openssl pkey -in key.pem -pubout -out public.pem
"""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from runtimes.bundles import archive
from runtimes.bundles.bundle import MANIFEST, SIGNATURE, Bundle
from runtimes.bundles.release import Release
from runtimes.codec import encode
from runtimes.errors import UsageError
from runtimes.files import replacing

_MAX_KEY_BYTES = 1 << 16


def sign(bundle: Bundle, key: Ed25519PrivateKey, out: Path, release: Release | None = None) -> None:
    """Write a bundle with a signature over its manifest, in place of an earlier signature. The key is not written.

    Args:
        bundle: the bundle; its file may be `out`.
        key: the private key.
        out: the file to write.
        release: the version and the time of expiry that the manifest declares; None leaves what it declares.

    Raises:
        TamperedError: a member differs from the one that was packed.
        UsageError: `out` cannot be written.
    """
    members = {name: bundle.read(name) for name in sorted(bundle.manifest.members)}
    manifest = bundle.manifest_bytes
    if release is not None:
        data = {**json.loads(manifest), "release": encode(release)}
        manifest = json.dumps(data, indent=1, sort_keys=True).encode()  # as `pack` writes it
    with replacing(out) as temporary, temporary.open("wb") as stream:
        archive.write(stream, {MANIFEST: manifest, SIGNATURE: key.sign(manifest), **members})


def is_valid(key: Ed25519PublicKey, signature: bytes, manifest: bytes) -> bool:
    """Tell whether the owner of `key` signed these bytes."""
    try:
        key.verify(signature, manifest)
    except InvalidSignature:
        return False
    return True


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read the private Ed25519 key in a PEM file without a passphrase.

    Raises:
        UsageError: there is no such key, or more than one; the message holds nothing of the file's content.
    """
    try:
        key = load_pem_private_key(read_key_file(path), password=None)
    except TypeError:
        raise UsageError(
            f"The key in '{path}' has a passphrase; give one without, as openssl pkey writes it."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"'{path}' holds no private key in PEM.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"The key in '{path}' is not an Ed25519 key; make one: openssl genpkey -algorithm ed25519.")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read the public Ed25519 key in a PEM file.

    Raises:
        UsageError: there is no such key, or more than one.
    """
    try:
        key = load_pem_public_key(read_key_file(path))
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"'{path}' holds no public key in PEM; openssl pkey -pubout writes it.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"The public key in '{path}' is not an Ed25519 key.")
    return key


def read_key_file(path: Path) -> bytes:
    """Read a PEM file that holds one key.

    Raises:
        UsageError: it cannot be read, is too large, or holds more than one.
    """
    try:
        with path.open("rb") as stream:  # of a device, too, which may have no end
            content = stream.read(_MAX_KEY_BYTES + 1)
    except OSError as error:
        raise UsageError(f"The key '{path}' cannot be read: {error.strerror or error}.") from None
    if len(content) > _MAX_KEY_BYTES:
        raise UsageError(f"'{path}' is too large for a key: it has more than {_MAX_KEY_BYTES:,} bytes.")
    if content.count(b"-----BEGIN ") > 1:  # `cryptography` would take the first
        raise UsageError(f"'{path}' holds more than one key or certificate; give a file with one key.")
    return content
