"""Bundles to spoil."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_parts import BundleParts

from runtimes.bundles.manifest import Artifact
from toolchain.packaging.pack import Contents


@pytest.fixture
def parts(bundle: Path) -> BundleParts:
    """The good bundle, taken apart."""
    return BundleParts(bundle)


@pytest.fixture
def repacked(parts: BundleParts, tmp_path: Path) -> Callable[[], Path]:
    """Put `parts` together as a bundle whose digests are right."""

    def repack() -> Path:
        parts.seal()
        return parts.write(tmp_path / "repacked.edge")

    return repack


@pytest.fixture(scope="session")
def artifact(contents: Contents) -> Artifact:
    """The tiny model as ONNX Runtime loads it; its file is on disk."""
    return contents.artifact
