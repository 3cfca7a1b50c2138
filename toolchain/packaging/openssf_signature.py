"""Detached signatures in the format of OpenSSF's `model-signing`, by a key and without a network.

The file is a Sigstore bundle over an in-toto statement that holds the SHA-256 of the .edge file
(https://github.com/ossf/model-signing-spec). `model_signing verify key` checks it, and so does every other tool of
that format. It knows elliptic curves P-256, P-384 and P-521, and not the Ed25519 of our own signature.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from model_signing.signing import Config

from runtimes.bundles.bundle import Bundle
from runtimes.bundles.signing import read_key_file
from runtimes.errors import UsageError
from runtimes.files import replacing

_REMEDY = "make one: openssl ecparam -name prime256v1 -genkey -noout -out ec.pem"


def sign_detached(bundle: Bundle, key: Path, out: Path) -> None:
    """Sign a bundle's file as it is, after a check of every byte.

    Raises:
        BundleError: the bundle was changed.
        UsageError: the key is none that the format knows, or `out` cannot be written.
    """
    bundle.check()
    try:
        loaded = load_pem_private_key(read_key_file(key), password=None)
    except (ValueError, TypeError):
        raise UsageError(f"'{key}' holds no private key in PEM without a passphrase; {_REMEDY}.") from None
    if not isinstance(loaded, EllipticCurvePrivateKey):
        raise UsageError(f"The key in '{key}' is not of an elliptic curve, which this format needs; {_REMEDY}.")
    try:
        config = Config().use_elliptic_key_signer(private_key=key)
    except ValueError as error:
        raise UsageError(f"The key in '{key}' cannot sign: {error}; {_REMEDY}.") from None
    with replacing(out) as temporary:
        config.sign(bundle.path, temporary)
