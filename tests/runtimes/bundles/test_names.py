"""Bundles hold no names that give orders: neither when they are packed nor when they are read."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from runtimes.bundles import archive
from runtimes.bundles.bundle import MANIFEST, Bundle
from runtimes.bundles.names import LONGEST, text_fault
from runtimes.errors import TamperedError, UsageError
from toolchain.packaging.pack import Contents, pack

BAD = ["a\nb", "\x1b[31m", "\u202ename", "\u2066", "a\u2028b", "\0", "x" * (LONGEST + 1), "\ud800", "\u200b"]


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(data, dict):
        return [found for key, item in data.items() for found in places(item, (*path, key))]
    if isinstance(data, list):
        return [found for index, item in enumerate(data) for found in places(item, (*path, index))]
    return [path] if isinstance(data, str) else []


@given(some.text(max_size=20))
def test_only_what_can_be_seen_passes(text: str) -> None:
    assert (text_fault({"a": [text]}) is None) == text.isprintable()
    assert (text_fault([{text: 1}]) is None) == text.isprintable()


@pytest.mark.parametrize("name", BAD)
def test_no_text_of_a_manifest_takes_it(name: str, contents: Contents, tmp_path: Path) -> None:
    path = tmp_path / "a.edge"
    pack(contents, path)
    with Bundle(path) as bundle:
        manifest = json.loads(bundle.manifest_bytes)
        members = {member: bundle.read(member) for member in bundle.manifest.members}
    for place in places(manifest):
        changed = json.loads(json.dumps(manifest))
        holder = changed
        for step in place[:-1]:
            holder = holder[step]
        holder[place[-1]] = name
        archive.write(stream := io.BytesIO(), {MANIFEST: json.dumps(changed).encode(), **members})
        path.write_bytes(stream.getvalue())
        with pytest.raises(TamperedError, match=r"manifest\.json holds (the|a) text") as refused:
            Bundle(path)
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", BAD)
def test_no_such_model_is_packed(name: str, contents: Contents, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rename it in the model"):
        pack(dataclasses.replace(contents, model=name), tmp_path / "a.edge")
    assert list(tmp_path.iterdir()) == []
