"""A bundle taken apart, so that a test can put a bad one together."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from runtimes.bundle import MANIFEST


class BundleParts:
    """The members and the manifest (as plain data) of a bundle; change them, then `write`."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
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
        """Write a zip of the manifest as it stands and the members."""
        return write_zip(path, {MANIFEST: json.dumps(self.manifest).encode(), **self.members})


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """A zip of stored members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


def data_ranges(path: Path) -> dict[str, range]:
    """Where in the file each member's own bytes are."""
    content = path.read_bytes()
    ranges = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            header = content[info.header_offset : info.header_offset + 30]
            names_and_extra = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            start = info.header_offset + 30 + names_and_extra
            ranges[info.filename] = range(start, start + info.file_size)
    return ranges
