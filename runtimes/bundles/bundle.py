"""The .edge bundle, opened without trust in any of its bytes.

A bundle is an archive (`runtimes/bundles/archive.py`) of `manifest.json`, optionally `signature.ed25519`, and, in the
order of their names, the members whose size and SHA-256 the manifest declares. The signature is over the manifest's
bytes; since the manifest holds the digests of all members, it covers the whole file.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from runtimes import plugins
from runtimes.bundles.archive import Archive
from runtimes.bundles.ed25519 import SIGNATURE_BYTES, is_signature
from runtimes.bundles.manifest import SCHEMA_VERSION, Manifest
from runtimes.bundles.names import text_fault
from runtimes.codec import decode
from runtimes.errors import BundleError, SchemaError, SignatureError, TamperedError, UsageError
from runtimes.sample_arrays import RaggedArray, Rows
from runtimes.tensors import Array, TensorSpec

MANIFEST = "manifest.json"
SIGNATURE = "signature.ed25519"
REPORT = "report.json"
_MAX_MANIFEST_BYTES = 4 << 20
_MAX_DEPTH = 32  # nesting of lists and tables in a manifest; ours have 6 levels


def golden_member(kind: str, index: int) -> str:
    """Return the member's name of a golden array.

    Args:
        kind: "input" or "output".
        index: the tensor's position, since its name may hold characters that file names cannot.
    """
    return f"golden/{kind}-{index}.npy"


def golden_shapes(kind: str, index: int) -> str:
    """Return the member's name of the shapes of a golden array's samples, which is there if they are of mixed sizes."""
    return f"golden/{kind}-{index}.shape.npy"


class Bundle:
    """An open bundle: its manifest, and its members on demand. It is a context manager.

    Args:
        path: the file.
        public_key: a PEM file; the bundle must be signed by the key's private half. None accepts any bundle.

    Raises:
        UsageError: there is no such file, or the key file holds no key.
        BundleError: the file is not a bundle, or was refused; a subclass and the message say why.
        NotInstalledError: a key was given, and the package that checks signatures is missing.
    """

    def __init__(self, path: Path, public_key: str | os.PathLike[str] | None = None) -> None:
        self.path = path
        self._archive = Archive(path, MANIFEST)
        try:
            self.manifest_bytes = _manifest_bytes(self._archive)
            if public_key is not None:
                _check_signature(self._archive, self.manifest_bytes, Path(public_key))
            self.manifest = _read_manifest(path, self.manifest_bytes)
            _check_members(path, self.manifest, self._archive.sizes)
            if self.is_signed and not is_signature(self._archive.read(SIGNATURE)):
                raise TamperedError(f"'{path}': '{SIGNATURE}' is no signature.")
        except BaseException:
            self._archive.close()
            raise

    @property
    def is_signed(self) -> bool:
        """True if the bundle carries a signature, which is checked only if a public key was given."""
        return SIGNATURE in self._archive.sizes

    def read(self, member: str) -> bytes:
        """Read a member's bytes and check them against the manifest.

        Raises:
            TamperedError: the bytes are not those that were packed.
        """
        declared = self.manifest.members.get(member)
        if declared is None:
            raise TamperedError(f"'{self.path}' has no member '{member}'.")
        data = self._archive.read(member)
        if hashlib.sha256(data).hexdigest() != declared.sha256:
            raise TamperedError(f"'{self.path}': the bytes of '{member}' are not those that were packed.")
        return data

    def golden(self, kind: str, specs: tuple[TensorSpec, ...]) -> dict[str, Rows]:
        """Read the golden arrays of one kind ("input", "output") by tensor name; their first axis is the samples.

        States are left out that have none: inputs that begin as zeros, and all outputs.

        Raises:
            BundleError: a member is missing or damaged, or is no array.
        """
        states = self.manifest.artifact.states
        optional = states.keys() if kind == "input" else set(states.values())
        return {
            spec.name: self._golden(kind, index)
            for index, spec in enumerate(specs)
            if spec.name not in optional or golden_member(kind, index) in self.manifest.members
        }

    def _golden(self, kind: str, index: int) -> Rows:
        array, shapes = self._array(golden_member(kind, index)), golden_shapes(kind, index)
        if shapes not in self.manifest.members:
            return array
        try:
            return RaggedArray(array, self._array(shapes))
        except (ValueError, TypeError) as error:
            raise BundleError(f"'{self.path}': '{shapes}' does not fit the golden samples: {error}.") from None

    def _array(self, member: str) -> Array:
        from runtimes import npz  # only golden samples are arrays; its zipfile and tempfile would slow down every load

        try:
            return npz.parse_npy(self.read(member))
        except ValueError as error:
            raise BundleError(f"'{self.path}': '{member}' is not a plain array: {error}.") from None

    def check(self) -> None:
        """Read every member and compare it with its digest, and with the zip's checksum.

        Raises:
            TamperedError: a member differs; names the first one.
        """
        for name in self._archive.sizes:
            data = self.read(name) if name in self.manifest.members else self._archive.read(name)
            if not self._archive.is_intact(name, data):
                raise TamperedError(f"'{self.path}': the checksum of '{name}' is not that of its bytes.")

    def file_sha256(self) -> str:
        """Compute the SHA-256 of the whole file, as `sha256sum` prints it."""
        return self._archive.sha256()

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _manifest_bytes(archive: Archive) -> bytes:
    size = archive.sizes.get(MANIFEST)
    if size is None:
        raise BundleError(f"'{archive.path}' is not an .edge bundle: it has no {MANIFEST}.")
    if size > _MAX_MANIFEST_BYTES:
        raise TamperedError(f"'{archive.path}': {MANIFEST} has {size:,} bytes; 4 MiB is the most.")
    return archive.read(MANIFEST)


def _check_signature(archive: Archive, manifest: bytes, public_key: Path) -> None:
    with plugins.optional_import("Checking a signature"):
        from runtimes.bundles import signing
    key = signing.read_public_key(public_key)
    if SIGNATURE not in archive.sizes:
        raise SignatureError(f"'{archive.path}' is not signed; sign it with edgewright sign, or load it without a key.")
    signature = archive.read(SIGNATURE) if archive.sizes[SIGNATURE] == SIGNATURE_BYTES else b""
    if not signing.is_valid(key, signature, manifest):
        raise SignatureError(f"'{archive.path}' is not signed by the owner of '{public_key}', or was changed since.")


def _read_manifest(path: Path, content: bytes) -> Manifest:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise TamperedError(f"'{path}': {MANIFEST} is not JSON: {error}.") from None
    if _depth(data) > _MAX_DEPTH:
        raise TamperedError(f"'{path}': {MANIFEST} is nested more than {_MAX_DEPTH} deep.")
    if (fault := text_fault(data)) is not None:
        raise TamperedError(f"'{path}': {MANIFEST} {fault}.")
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION:
        raise SchemaError(
            f"'{path}' follows bundle schema {str(version)[:20]}; this release of edgewright reads {SCHEMA_VERSION}. "
            "Upgrade edgewright, or rebuild the bundle."
        )
    try:
        return decode(Manifest, data, f"{path}: {MANIFEST}")
    except UsageError as error:
        raise TamperedError(str(error)) from None


def _depth(data: Any) -> int:
    """Count how deep lists and tables nest, without recursion, which a crafted manifest could exhaust."""
    depth, level = 0, [data]
    while level:
        depth += 1
        items = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list)))
        level = [inner for item in items for inner in item]
    return depth


def _check_members(path: Path, manifest: Manifest, sizes: dict[str, int]) -> None:
    declared, present = set(manifest.members), set(sizes) - {MANIFEST, SIGNATURE}
    if declared != present:
        missing, extra = sorted(declared - present), sorted(present - declared)
        faults = [f"lacks {', '.join(missing)}"] if missing else []
        faults += [f"has undeclared {', '.join(extra)}"] if extra else []
        raise TamperedError(f"'{path}' {' and '.join(faults)}.")
    if sizes.get(SIGNATURE, SIGNATURE_BYTES) != SIGNATURE_BYTES:
        raise TamperedError(
            f"'{path}': '{SIGNATURE}' has {sizes[SIGNATURE]:,} bytes; signatures have {SIGNATURE_BYTES}."
        )
    first = [name for name in (MANIFEST, SIGNATURE) if name in sizes]
    if list(sizes) != [*first, *sorted(declared)]:
        raise TamperedError(f"'{path}' has its members in another order than they are packed in.")
    for name, member in manifest.members.items():
        if sizes[name] != member.size_bytes:
            raise TamperedError(
                f"'{path}': '{name}' has {sizes[name]:,} bytes; the manifest declares {member.size_bytes:,}."
            )
    artifact = manifest.artifact
    if artifact.file.as_posix() not in declared:
        raise TamperedError(f"'{path}': the artifact '{artifact.file}' is not among the members.")
    if artifact.size_bytes != manifest.members[artifact.file.as_posix()].size_bytes:
        raise TamperedError(f"'{path}': the artifact's size is not that of its member.")
