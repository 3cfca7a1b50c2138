"""Older and expired bundles: refused by version, by what this device opened before, and by its clock."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_parts import BundleParts
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as some

pytest.importorskip("cryptography", reason="the extra `sign` is not installed")

from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import runtimes
from runtimes.__main__ import main
from runtimes.bundles.bundle import Bundle
from runtimes.bundles.release import MAX_VERSION, Release, time_fault, utc, version_fault
from runtimes.errors import OutdatedError, SignatureError, TamperedError, UsageError
from runtimes.inference import highest_versions
from runtimes.inference.highest_versions import highest_version, note_version
from toolchain.cli.inspect import command as inspect_command
from toolchain.cli.sign import command as sign_command

VERSIONS = some.integers(1, MAX_VERSION)
TIMES = some.integers(0, 4_000_000_000)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder, key = tmp_path_factory.mktemp("keys"), Ed25519PrivateKey.generate()
    private, public = folder / "key.pem", folder / "public.pem"
    private.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
    return private, public


Sign = Callable[..., Path]


@pytest.fixture
def signed(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> Sign:
    """Signs the bundle with options, and returns its file."""

    def sign(*options: object, source: Path = bundle) -> Path:
        out = tmp_path / f"{'-'.join(str(option).strip('-') for option in options) or 'plain'}.edge"
        done = CliRunner().invoke(
            sign_command, [str(source), "--key", str(keys[0]), "--out", str(out), *map(str, options)]
        )
        if done.exception is not None:
            raise done.exception
        return out

    return sign


def test_the_lowest_version_that_is_opened(signed: Sign, keys: tuple[Path, Path]) -> None:
    seven = signed("--version", 7)
    for at_least in (0, 1, 7):
        runtimes.load(seven, public_key=keys[1], at_least=at_least).close()
    with pytest.raises(OutdatedError, match=r"7\.edge' has version 7; 8 is the least that is wanted\.$"):
        runtimes.load(seven, at_least=8)
    with pytest.raises(OutdatedError, match="has no version; 1 is the least"):
        runtimes.load(signed(), at_least=1)


def test_the_highest_version_is_remembered(signed: Sign, keys: tuple[Path, Path], tmp_path: Path) -> None:
    state = tmp_path / "versions.json"
    old, new, none = signed("--version", 3), signed("--version", 4), signed()
    for path in (none, old, old, new):
        runtimes.load(path, public_key=keys[1], state=state).close()
    before = state.read_bytes()
    for path in (old, none):
        with pytest.raises(OutdatedError, match="4 is the least"):
            runtimes.load(path, public_key=keys[1], state=state)
    runtimes.load(new, public_key=keys[1], state=str(state)).close()
    assert state.read_bytes() == before
    with Bundle(new) as opened:
        assert json.loads(before)["highest"] == {opened.manifest.name: 4}
    old.rename(tmp_path / "another-name.edge")
    with pytest.raises(OutdatedError):
        runtimes.load(tmp_path / "another-name.edge", public_key=keys[1], state=state)


def test_versions_without_a_key_are_not_remembered(signed: Sign, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give the public key, too"):
        runtimes.load(signed("--version", 3), state=tmp_path / "versions.json")
    assert not (tmp_path / "versions.json").exists()


def test_a_bundle_that_does_not_load_is_not_remembered(
    signed: Sign, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise UsageError("no")

    monkeypatch.setattr("runtimes.inference.load.open_session", fails)
    with pytest.raises(UsageError, match="no"):
        runtimes.load(signed("--version", 9), public_key=keys[1], state=tmp_path / "versions.json")
    assert highest_version(tmp_path / "versions.json", "any") == 0
    assert not (tmp_path / "versions.json").exists()


def test_expired_bundles_and_clocks(signed: Sign, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = signed("--not-after", "2100-01-31")
    runtimes.load(path).close()
    with Bundle(path) as opened:
        release = opened.manifest.release
    assert release is not None
    assert (release.version, release.not_after) == (None, "2100-01-31T23:59:59Z")
    for now, words in (("2100-02-01T00:00:00Z", "expired at 2100-01-31"), ("1970-01-01T00:00:09Z", "set the clock")):
        monkeypatch.setattr("runtimes.inference.load.utc", lambda now=now: now)
        with pytest.raises(OutdatedError, match=words):
            runtimes.load(path, public_key=keys[1], any_machine=True)
        assert main(["verify", str(path)]) == 2
    monkeypatch.setattr("runtimes.inference.load.utc", lambda: "2100-01-31T23:59:59Z")
    runtimes.load(path).close()


def test_what_is_signed_is_what_was_asked_for(signed: Sign, keys: tuple[Path, Path], bundle: Path) -> None:
    first = signed("--version", 3, "--not-after", "2100-01-31T12:00:00Z")
    later = signed("--version", 4, source=first)
    before, after = BundleParts(first), BundleParts(later)
    assert after.manifest.pop("release") == {**before.manifest.pop("release"), "version": 4}
    assert after.manifest == before.manifest == BundleParts(bundle).manifest
    after.manifest["release"] = {"version": 5}
    with pytest.raises(SignatureError):
        runtimes.load(after.write(later.with_name("forged.edge")), public_key=keys[1])


@pytest.mark.parametrize("text", ["2020-01-01", "tomorrow", "2100-02-30", "2100-1-1", "2100-01-01T00:00:00"])
def test_times_that_are_none_or_past(signed: Sign, text: str) -> None:
    with pytest.raises(UsageError, match="is no date to come"):
        signed("--not-after", text)


@pytest.mark.parametrize(
    "release",
    [
        {"version": 0},
        {"version": 2**63},
        {"version": "3"},
        {"version": True},
        {"not_after": "2100-01-31T12:00:00Z"},
        {"not_after": "2100-01-31", "signed_at": "2099-01-31T12:00:00Z"},
        {"not_after": "2098-01-31T12:00:00Z", "signed_at": "2099-01-31T12:00:00Z"},
        {"not_after": "2100-01-31t12:00:00z", "signed_at": "2099-01-31T12:00:00Z"},
        {"created": "2100-01-31T12:00:00Z"},
        [],
    ],
)
def test_releases_that_are_none(bundle: Path, tmp_path: Path, release: object) -> None:
    parts = BundleParts(bundle)
    parts.manifest["release"] = release
    with pytest.raises(TamperedError, match="release"):
        Bundle(parts.write(tmp_path / "x.edge"))


def test_inspect_shows_both(signed: Sign) -> None:
    path = signed("--version", 3, "--not-after", "2100-01-31")
    said = CliRunner().invoke(inspect_command, [str(path)]).output
    assert "version: 3\n" in said
    assert "not_after: 2100-01-31T23:59:59Z\n" in said
    as_json = json.loads(CliRunner().invoke(inspect_command, [str(path), "--format", "json"]).output)
    assert (as_json["version"], as_json["not_after"]) == (3, "2100-01-31T23:59:59Z")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema_version": 2, "highest": {}}',
        b'{"schema_version": 1, "highest": {"m": -1}}',
        b'{"schema_version": 1, "highest": {"m": "1"}}',
        b'{"schema_version": 1, "highest": {"m": 1e3}}',
        b"[" * 100_000,
        b" " * (highest_versions.MAX_BYTES + 1),
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_said_and_stays(tmp_path: Path, content: bytes) -> None:
    state = tmp_path / "versions.json"
    state.write_bytes(content)
    for use in (lambda: highest_version(state, "m"), lambda: note_version(state, "m", 1)):
        with pytest.raises(UsageError, match=r"versions\.json' (is damaged|has more).*remove it if every older bundle"):
            use()
    assert state.read_bytes() == content


def test_a_file_that_cannot_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no regular file"):
        highest_version(tmp_path, "m")
    with pytest.raises(UsageError, match="cannot be written"):
        note_version(tmp_path / "missing" / "versions.json", "m", 1)
    state = tmp_path / "versions.json"
    with pytest.raises(UsageError, match="would hold more"):
        note_version(state, "m" * highest_versions.MAX_BYTES, 1)
    assert not state.exists()


def _note(state: Path, start: int) -> None:
    for version in range(start, 60, 3):
        note_version(state, "m", version)
        note_version(state, f"n{start}", version)


def test_processes_may_remember_at_once(tmp_path: Path) -> None:
    state, context = tmp_path / "versions.json", multiprocessing.get_context("fork")
    processes = [context.Process(target=_note, args=(state, start)) for start in (1, 2, 3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert json.loads(state.read_text())["highest"] == {"m": 59, "n1": 58, "n2": 59, "n3": 57}
    assert [file.name for file in tmp_path.iterdir()] == ["versions.json"]


@given(some.lists(some.tuples(some.sampled_from("ab"), VERSIONS), max_size=8))
def test_what_is_remembered_never_falls(
    tmp_path_factory: pytest.TempPathFactory, opened: list[tuple[str, int]]
) -> None:
    state, highest = tmp_path_factory.mktemp("state") / "versions.json", {"a": 0, "b": 0}
    for name, version in opened:
        taken = version_fault(Release(version), highest_version(state, name)) is None
        assert taken is (version >= highest[name])
        if taken:
            note_version(state, name, version)
            highest[name] = version
        assert {name: highest_version(state, name) for name in highest} == highest


@given(some.none() | VERSIONS, some.integers(0, MAX_VERSION))
def test_versions_are_ordered_as_numbers(version: int | None, at_least: int) -> None:
    release = Release(version) if version is not None else None
    assert (version_fault(release, at_least) is None) is ((version or 0) >= at_least)


@given(TIMES, TIMES, TIMES)
def test_times_are_ordered_as_times(signed_at: int, not_after: int, now: int) -> None:
    try:
        release = Release(None, utc(not_after), utc(signed_at))
    except ValueError:
        assert not_after < signed_at
        return
    assert (time_fault(release, utc(now)) is None) is (signed_at <= now <= not_after)
    assert time_fault(dataclasses.replace(release, not_after=None, signed_at=None), utc(now)) is None
