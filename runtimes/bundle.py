"""Open an .edge bundle, trusting nothing in it.

A bundle is a zip of stored (never compressed) members, so that sizes cannot lie and a large model is read
in place: `manifest.json`, and the members whose size and SHA-256 the manifest declares.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any

from runtimes import arrays
from runtimes.artifact import SCHEMA_VERSION, Manifest
from runtimes.codec import decode
from runtimes.errors import BundleError, SchemaError, TamperedError, UsageError
from runtimes.tensors import Array, TensorSpec

MANIFEST = "manifest.json"
REPORT = "report.json"
_MAX_MANIFEST_BYTES = 4 << 20
_MAX_DEPTH = 32  # of the manifest's lists and tables; ours has 6
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")

# What zipfile raises for a broken archive: its fields are used as offsets and lengths before they are checked.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
)


def golden_member(kind: str, index: int) -> str:
    """Where golden arrays are kept. `kind` is "input" or "output"; tensors go by position, since their
    names may hold any character.
    """
    return f"golden/{kind}-{index}.npy"


class Bundle:
    """An open bundle: its manifest, and its members on demand. Use it as a context manager.

    Raises:
        UsageError: there is no such file.
        BundleError: it is not a bundle, or was refused; a subclass and the message say why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise UsageError(f"There is no file '{path}'.") from None
        except _ZIP_ERRORS as error:
            raise BundleError(f"'{path}' is not an .edge bundle: {error}.") from None
        try:
            self._sizes = _member_sizes(path, self._zip)
            self.manifest = _read_manifest(path, self._zip, self._sizes)
            _check_members(path, self.manifest, self._sizes)
        except BaseException:
            self._zip.close()
            raise

    def read(self, member: str) -> bytes:
        """A member's bytes, checked against the manifest.

        Raises:
            TamperedError: the bytes are not those that were packed.
        """
        declared = self.manifest.members.get(member)
        if declared is None:
            raise TamperedError(f"'{self.path}' has no member '{member}'.")
        data = _read(self.path, self._zip, member)
        if hashlib.sha256(data).hexdigest() != declared.sha256:
            raise TamperedError(f"'{self.path}': the bytes of '{member}' are not those that were packed.")
        return data

    def golden(self, kind: str, specs: tuple[TensorSpec, ...]) -> dict[str, Array]:
        """The golden arrays of one kind ("input", "output") by tensor name; the first axis is the samples."""
        return {spec.name: self._array(golden_member(kind, index)) for index, spec in enumerate(specs)}

    def _array(self, member: str) -> Array:
        try:
            return arrays.parse(self.read(member))
        except ValueError as error:
            raise BundleError(f"'{self.path}': '{member}' is not a plain array: {error}.") from None

    def check(self) -> None:
        """Read every member and compare it with its digest.

        Raises:
            TamperedError: naming the first member that differs.
        """
        for member in self.manifest.members:
            self.read(member)

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _member_sizes(path: Path, archive: zipfile.ZipFile) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for info in archive.infolist():
        name = info.filename
        if not _SAFE_NAME.fullmatch(name) or ".." in name:
            raise TamperedError(f"'{path}' has a member with the unsafe name {name!r}.")
        if name in sizes:
            raise TamperedError(f"'{path}' has two members named '{name}'.")
        if info.external_attr >> 28 == 0xA:  # S_IFLNK in the Unix mode that zip keeps in the high half
            raise TamperedError(f"'{path}': the member '{name}' is a link.")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise TamperedError(f"'{path}': the member '{name}' is compressed; bundles store their members plain.")
        sizes[name] = info.file_size
    if sum(sizes.values()) > path.stat().st_size:
        raise TamperedError(f"'{path}' declares members of more bytes than it has; it is truncated, or they overlap.")
    return sizes


def _read_manifest(path: Path, archive: zipfile.ZipFile, sizes: dict[str, int]) -> Manifest:
    if MANIFEST not in sizes:
        raise BundleError(f"'{path}' is not an .edge bundle: it has no {MANIFEST}.")
    if sizes[MANIFEST] > _MAX_MANIFEST_BYTES:
        raise TamperedError(f"'{path}': {MANIFEST} has {sizes[MANIFEST]:,} bytes; 4 MiB is the most.")
    try:
        data = json.loads(_read(path, archive, MANIFEST))
    except (ValueError, RecursionError) as error:
        raise TamperedError(f"'{path}': {MANIFEST} is not JSON: {error}.") from None
    if _depth(data) > _MAX_DEPTH:
        raise TamperedError(f"'{path}': {MANIFEST} is nested more than {_MAX_DEPTH} deep.")
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
    """How deep lists and tables nest, counted without recursion."""
    depth, level = 0, [data]
    while level:
        depth += 1
        items = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list)))
        level = [inner for item in items for inner in item]
    return depth


def _check_members(path: Path, manifest: Manifest, sizes: dict[str, int]) -> None:
    declared, present = set(manifest.members), set(sizes) - {MANIFEST}
    if declared != present:
        missing, extra = sorted(declared - present), sorted(present - declared)
        what = [f"lacks {', '.join(missing)}"] if missing else []
        what += [f"has undeclared {', '.join(extra)}"] if extra else []
        raise TamperedError(f"'{path}' {' and '.join(what)}.")
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


def _read(path: Path, archive: zipfile.ZipFile, member: str) -> bytes:
    try:
        return archive.read(member)
    except _ZIP_ERRORS as error:
        raise TamperedError(f"'{path}': '{member}' cannot be read: {error}.") from None
