"""Damage of every kind to a bundle's bytes is refused, and none of it breaks us."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import zipfile
import zlib
from pathlib import Path

import pytest
from bundle_parts import BundleParts, data_ranges, read_all, write_zip
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutated

from runtimes.bundles.bundle import MANIFEST, REPORT, Bundle, golden_member
from runtimes.codec import decode
from runtimes.errors import BundleError, EdgewrightError, TamperedError
from runtimes.profile import HardwareProfile
from runtimes.verification import golden


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for examples to write to."""
    return tmp_path_factory.mktemp("damaged") / "x.edge"


@given(st.data())
def test_no_changed_byte_of_a_member_is_accepted(bundle: Path, scratch: Path, data: st.DataObject) -> None:
    content = bytearray(bundle.read_bytes())
    ranges = data_ranges(bundle)
    member = data.draw(st.sampled_from(sorted(ranges)))
    content[data.draw(st.sampled_from(ranges[member]))] ^= data.draw(st.integers(1, 255))
    scratch.write_bytes(content)
    with pytest.raises(BundleError):
        read_all(scratch)


def test_every_changed_byte_of_the_zip_s_own_is_refused(bundle: Path, scratch: Path) -> None:
    content = bundle.read_bytes()
    structure = set(range(len(content))).difference(*data_ranges(bundle).values())
    for position in sorted(structure):
        changed = content[position] ^ (1 << position % 8)
        scratch.write_bytes(content[:position] + bytes([changed]) + content[position + 1 :])
        with pytest.raises(BundleError):
            read_all(scratch)


@given(st.integers(0), st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 4, b"\xff" * 8, bytes(8)]))
def test_any_overwritten_bytes_are_refused(bundle: Path, scratch: Path, seed: int, change: bytes) -> None:
    content = bundle.read_bytes()
    position = len(content) - 1 - seed % len(content)  # small seeds, which come often, hit the directory at the end
    changed = content[:position] + change + content[position + len(change) :]
    scratch.write_bytes(changed)
    if changed == content:
        return
    with pytest.raises(BundleError):
        read_all(scratch)


@pytest.mark.parametrize("position", [0, 0.5, 1], ids=["before", "between", "after"])
def test_bytes_that_belong_to_no_member(bundle: Path, scratch: Path, position: float) -> None:
    content = bundle.read_bytes()
    first_end = data_ranges(bundle)[MANIFEST].stop
    cut = {0: 0, 0.5: first_end, 1: len(content)}[position]
    scratch.write_bytes(content[:cut] + b"smuggled" + content[cut:])
    with pytest.raises(BundleError, match=r"does not begin like one|bytes that belong to no member"):
        Bundle(scratch)


def test_a_comment(bundle: Path, scratch: Path) -> None:
    shutil.copy(bundle, scratch)
    with zipfile.ZipFile(scratch, "a") as archive:
        archive.comment = b"smuggled"
    with pytest.raises(TamperedError, match="bytes that belong to no member"):
        Bundle(scratch)


def test_a_checksum_that_is_not_that_of_the_bytes(bundle: Path, scratch: Path) -> None:
    content = bundle.read_bytes()
    crc = zlib.crc32(BundleParts(bundle).members[REPORT]).to_bytes(4, "little")
    assert content.count(crc) == 2  # before the member and in the directory
    scratch.write_bytes(content.replace(crc, b"\0\1\2\3"))
    with Bundle(scratch) as opened, pytest.raises(TamperedError, match=f"the checksum of '{REPORT}' is not that of"):
        opened.check()


def test_members_in_another_order(parts: BundleParts, scratch: Path) -> None:
    manifest = {MANIFEST: json.dumps(parts.manifest).encode()}
    inside = dict(sorted(parts.members.items()))
    for members in ({**inside, **manifest}, {**manifest, **dict(reversed(list(inside.items())))}):
        with pytest.raises(TamperedError, match="has its members in another order than they are packed in"):
            Bundle(write_zip(scratch, members))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.edge")
    with pytest.raises(BundleError, match="no regular file"):
        Bundle(tmp_path / "pipe.edge")


def test_any_zip_program_opens_a_bundle(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        assert {oct(info.external_attr >> 16) for info in archive.infolist()} == {"0o100644"}


@given(st.data())
def test_truncated_bundles_are_refused(bundle: Path, scratch: Path, data: st.DataObject) -> None:
    content = bundle.read_bytes()
    scratch.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(BundleError):
        Bundle(scratch)


@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_refused(scratch: Path, content: bytes, ends_like_a_zip: bool) -> None:
    scratch.write_bytes(content + (b"PK\x05\x06" + content.ljust(18, b"\0")[:18] if ends_like_a_zip else b""))
    with pytest.raises(BundleError):
        Bundle(scratch)


@given(st.data())
def test_a_changed_manifest_never_breaks_us(bundle: Path, scratch: Path, data: st.DataObject) -> None:
    """Whoever can write a bundle can seal it too; what they declare may be wrong, and must be told so."""
    parts = BundleParts(bundle)
    parts.manifest["artifact"]["runtime"] = "null"
    parts.manifest = data.draw(mutated(parts.manifest))
    parts.write(scratch)
    with contextlib.suppress(EdgewrightError), Bundle(scratch) as opened:
        golden.replay(opened, any_machine=True)


@given(
    st.sampled_from([golden_member("input", 0), golden_member("output", 0)]),
    st.binary(max_size=200),
    st.integers(0, 140),
)
def test_changed_golden_arrays_never_break_us(
    bundle: Path, scratch: Path, member: str, change: bytes, position: int
) -> None:
    parts = BundleParts(bundle)
    parts.manifest["artifact"]["runtime"] = "null"
    data = parts.members[member]
    parts.members[member] = data[:position] + change + data[position + len(change) :]
    parts.seal()
    parts.write(scratch)
    with contextlib.suppress(EdgewrightError), Bundle(scratch) as opened:
        golden.replay(opened, any_machine=True)


def test_a_manifest_holds_no_more_than_it_says(bundle: Path, here: HardwareProfile) -> None:
    """The digests in the manifest are those of the bytes, computed here without our reader."""
    parts = BundleParts(bundle)
    assert {name: entry["sha256"] for name, entry in parts.manifest["members"].items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in parts.members.items()
    }
    assert decode(HardwareProfile, json.loads(json.dumps(parts.manifest["profile"])), "profile") == here
