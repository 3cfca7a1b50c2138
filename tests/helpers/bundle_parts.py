"""A bundle taken apart, so that a test can put a bad one together."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from runtimes.bundles import archive
from runtimes.bundles.bundle import MANIFEST, SIGNATURE, Bundle


class BundleParts:
    """The members and the manifest (as plain data) of a bundle; change them, then `write`."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as opened:
            self.members = {name: opened.read(name) for name in opened.namelist()}
        self.manifest: Any = json.loads(self.members.pop(MANIFEST))

    def seal(self) -> None:
        """Make the manifest declare the members as they are now."""
        self.manifest["members"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
            for name, data in self.members.items()
        }
        artifact = self.manifest["artifact"]
        if artifact["file"] in self.members:
            artifact["size_bytes"] = len(self.members[artifact["file"]])

    def write(self, path: Path) -> Path:
        """Write a zip of the manifest as it stands and the members, in the order that bundles have."""
        signature = {name: data for name, data in self.members.items() if name == SIGNATURE}
        return write_zip(
            path, {MANIFEST: json.dumps(self.manifest).encode(), **signature, **dict(sorted(self.members.items()))}
        )


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """A zip of these members, laid out as bundles are."""
    with path.open("wb") as stream:
        archive.write(stream, members)
    return path


def data_ranges(path: Path) -> dict[str, range]:
    """Find where in the file each member's own bytes are."""
    content = path.read_bytes()
    ranges = {}
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            header = content[info.header_offset : info.header_offset + 30]
            names_and_extra = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            start = info.header_offset + 30 + names_and_extra
            ranges[info.filename] = range(start, start + info.file_size)
    return ranges


def read_all(path: Path) -> dict[str, bytes]:
    """All members of a bundle that was checked, by name."""
    with Bundle(path) as bundle:
        bundle.check()
        return {name: bundle.read(name) for name in bundle.manifest.members}
