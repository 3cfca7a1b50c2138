"""Files left in a folder after a command."""

from __future__ import annotations

from pathlib import Path


def leftovers(folder: Path) -> list[str]:
    """List a folder for temporary files, but for torch's cache."""
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("torchinductor_"))


def contents_of(folder: Path) -> dict[str, bytes]:
    """Every file, by its path."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
