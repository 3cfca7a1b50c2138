"""Attestation of a gate: an in-toto test-result statement on a bundle, signed with the bundle's own key.

The file is a DSSE envelope (https://github.com/secure-systems-lab/dsse) with an Ed25519 signature over a statement
whose predicate is https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtimes import plugins
from runtimes.bundles.bundle import Bundle
from runtimes.errors import BundleError, SignatureError, UsageError
from runtimes.files import replacing

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
PASSED = "PASSED"
_MAX_BYTES = 1 << 20


def attestation_file(bundle: str | os.PathLike[str]) -> Path:
    """Return the place of a bundle's attestation beside it: model.edge.intoto.json."""
    return Path(f"{os.fspath(bundle)}.intoto.json")


def write_signed(statement: Mapping[str, Any], key: Path, out: Path) -> None:
    """Sign a statement, and write its envelope.

    Raises:
        UsageError: the key file holds no private Ed25519 key, or `out` cannot be written.
        NotInstalledError: the package that signs is missing.
    """
    with plugins.optional_import("Signing"):
        from runtimes.bundles import signing
    payload = json.dumps(statement, sort_keys=True).encode()
    signature = signing.read_private_key(key).sign(_signed_bytes(payload))
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": "", "sig": base64.b64encode(signature).decode()}],
    }
    with replacing(out) as beside:
        beside.write_text(json.dumps(envelope, indent=1) + "\n", encoding="utf-8")


def check_passed(bundle: Bundle, file: Path, public_key: str | os.PathLike[str]) -> None:
    """Check that the owner of a key attests that a gate passed this very file.

    Raises:
        UsageError: the attestation is missing or cannot be read, or the key file holds no key.
        SignatureError: it is not signed by the owner of the key.
        BundleError: it is no attestation, is of another file, or says that the gate did not pass.
        NotInstalledError: the package that checks signatures is missing.
    """
    with plugins.optional_import("Checking a signature"):
        from runtimes.bundles import signing
    key = signing.read_public_key(Path(public_key))
    envelope = _table(file, _content(file))
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise BundleError(f"'{file}' is no in-toto attestation.")
    payload, signatures = _decoded(file, envelope.get("payload")), envelope.get("signatures")
    found = [_decoded(file, item.get("sig")) for item in _items(signatures)]
    if not any(signing.is_valid(key, signature, _signed_bytes(payload)) for signature in found):
        raise SignatureError(f"'{file}' is not signed by the owner of '{os.fspath(public_key)}', or was changed since.")
    statement = _table(file, payload)
    if (statement.get("_type"), statement.get("predicateType")) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise BundleError(f"'{file}' attests something else than the result of a test.")
    digest = bundle.file_sha256()
    if not any(_digest(subject) == digest for subject in _items(statement.get("subject"))):
        raise BundleError(f"'{file}' is of another file than '{bundle.path}', or of that file before a change.")
    predicate = statement.get("predicate")
    result = predicate.get("result") if isinstance(predicate, dict) else None
    if result != PASSED:
        raise BundleError(
            f"'{file}' says that the gate did not pass '{bundle.path}': its result is {str(result)[:40]}."
        )


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"There is no attestation '{file}'; edgewright attest writes it after a gate.") from None
    except OSError as error:
        raise UsageError(f"The attestation '{file}' cannot be read: {error.strerror or error}.") from None
    if len(content) > _MAX_BYTES:
        raise BundleError(f"'{file}' is too large for an attestation: it has more than {_MAX_BYTES:,} bytes.")
    return content


def _table(file: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BundleError(f"'{file}' is no attestation: it is no JSON object.")
    return found


def _decoded(file: Path, text: object) -> bytes:
    try:
        return base64.b64decode(str(text).encode("ascii"), validate=True)
    except ValueError:
        raise BundleError(f"'{file}' is no attestation: its payload or signature is not in base64.") from None


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _digest(subject: object) -> object:
    digests = subject.get("digest") if isinstance(subject, dict) else None
    return digests.get("sha256") if isinstance(digests, dict) else None


def _signed_bytes(payload: bytes) -> bytes:
    """Return what an envelope's signature covers: DSSE's pre-authentication encoding of type and payload."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
