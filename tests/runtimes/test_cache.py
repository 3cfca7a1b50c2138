"""A cache finds what was put under a key, and nothing else: not after damage, not under another key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtimes import cache as module
from runtimes.cache import Cache, folder, seal, unseal
from runtimes.sampling.closed_loop import SamplingPlan

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@shared
@given(PLAIN, st.binary(max_size=200))
def test_what_is_put_is_found(tmp_path: Path, key: object, data: bytes) -> None:
    cache = Cache(tmp_path)
    cache.put(key, data)
    assert cache.get(key) == data


@given(st.binary(max_size=60), st.data())
def test_a_changed_byte_anywhere_is_never_returned(data: bytes, draw: st.DataObject) -> None:
    key = {"model": "ab", "plan": [1, 2.5, None]}
    content = bytearray(seal(key, data))
    position = draw.draw(st.integers(0, len(content) - 1))
    content[position] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"is damaged|by another build|no file that edgewright wrote"):
        unseal(key, bytes(content))


@given(st.binary(max_size=60), st.data())
def test_a_part_of_an_entry_is_never_returned(data: bytes, draw: st.DataObject) -> None:
    content = seal("key", data)
    with pytest.raises(ValueError, match=r"is damaged|no file that edgewright wrote"):
        unseal("key", content[: draw.draw(st.integers(0, len(content) - 1))])


@shared
@given(PLAIN, PLAIN)
def test_two_keys_have_two_entries(tmp_path: Path, one: object, other: object) -> None:
    if json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True):
        return
    cache = Cache(tmp_path)
    cache.put(one, b"one")
    cache.put(other, b"other")
    assert (cache.get(one), cache.get(other)) == (b"one", b"other")


def test_an_entry_under_the_name_of_another_key_is_not_returned(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("one", b"one")
    cache.put("other", b"other")
    one, other = entries(tmp_path)
    one.write_bytes(other.read_bytes())
    assert sorted(filter(None, (cache.get("one"), cache.get("other")))) in ([b"one"], [b"other"])


def test_another_version_finds_nothing(tmp_path: Path) -> None:
    Cache(tmp_path, version="1").put("key", b"data")
    assert Cache(tmp_path, version="2").get("key") is None
    assert Cache(tmp_path).get("key") is None
    assert Cache(tmp_path, version="1").get("key") == b"data"


def test_a_damaged_entry_is_told_once_and_made_again(tmp_path: Path) -> None:
    told: list[str] = []
    cache = Cache(tmp_path, warn=told.append)
    cache.put("key", b"data")
    (file,) = entries(tmp_path)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert cache.get("key") is None
    assert cache.get("key") is None
    assert len(told) == 1
    assert str(file) in told[0]
    assert "damaged" in told[0]
    cache.put("key", b"new")
    assert cache.get("key") == b"new"


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_an_entry_that_is_no_file_is_absent(tmp_path: Path, kind: str) -> None:
    cache = Cache(tmp_path)
    path = entry_of(cache, "key")
    {"fifo": lambda: os.mkfifo(path), "folder": path.mkdir, "link": lambda: path.symlink_to(tmp_path / "gone")}[kind]()
    assert cache.get("key") is None
    cache.put("key", b"data")


def test_a_person_reads_what_an_entry_was_made_from(tmp_path: Path) -> None:
    Cache(tmp_path).put_value({"machine": "Zen 3"}, SamplingPlan(min_runs=5))
    (file,) = entries(tmp_path)
    header, _, value = file.read_text().partition("\n")
    assert json.loads(header)["key"] == {"machine": "Zen 3"}
    assert json.loads(value)["min_runs"] == 5


def test_a_value_of_a_class_that_changed_is_absent(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put_value("key", SamplingPlan(min_runs=5))
    assert cache.get_value(SamplingPlan, "key") == SamplingPlan(min_runs=5)
    for content in (b"{", b"[]", b'{"colour": 1}', b"\xff"):
        cache.put("key", content)
        assert cache.get_value(SamplingPlan, "key") is None


@shared
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 10))
def test_trim_keeps_the_most_recently_used(tmp_path_factory: pytest.TempPathFactory, used: list[int], fit: int) -> None:
    tmp_path = tmp_path_factory.mktemp("trim")
    writer = Cache(tmp_path)
    for number in range(10):
        writer.put(number, bytes(100))
        os.utime(entry_of(writer, number), ns=(number, number))
    for time_ns, number in enumerate(used):
        assert writer.get(number) is not None  # which marks it as used just now; the order is made exact here
        os.utime(entry_of(writer, number), ns=(100 + time_ns, 100 + time_ns))
    size = entry_of(writer, 0).stat().st_size
    trimmed = Cache(tmp_path, limit_bytes=size * fit)
    trimmed.trim()
    by_use = [*dict.fromkeys(reversed(used)), *(number for number in range(9, -1, -1) if number not in used)]
    assert [number for number in by_use if writer.get(number) is not None] == by_use[:fit]


def entry_of(cache: Cache, key: object) -> Path:
    path = cache._path(key)
    assert path is not None
    return path


def test_reading_marks_an_entry_as_used(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("key", b"data")
    (file,) = entries(tmp_path)
    os.utime(file, (1, 1))
    cache.get("key")
    assert file.stat().st_mtime > 1


def test_trim_leaves_files_that_are_not_entries(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / ("a" * 64)).mkdir()
    killed = tmp_path / f".{'a' * 64}.x1y2"  # a process was killed while it wrote
    killed.touch()
    cache = Cache(tmp_path, limit_bytes=0)
    killed.write_bytes(b"half")
    cache.trim()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a" * 64, "thesis.tex"]


def test_a_fresh_one_finds_nothing_and_leaves_what_it_made(tmp_path: Path) -> None:
    Cache(tmp_path).put("key", b"old")
    fresh = Cache(tmp_path, fresh=True)
    assert fresh.get("key") is None
    fresh.put("key", b"new")
    assert Cache(tmp_path).get("key") == b"new"


def test_very_large_entries_are_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=100)
    assert cache.takes(10)
    assert not cache.takes(11)
    cache.put("large", bytes(11))
    assert cache.get("large") is None


def test_a_folder_that_cannot_be_written_costs_no_results(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for where in (tmp_path / "file", tmp_path / "file" / "below", None):
        cache = Cache(where)
        cache.put("key", b"data")
        assert cache.get("key") is None
        cache.trim()


def test_entries_of_another_user_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path, limit_bytes=1_000)
    cache.put("key", b"data")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(module.os, "utime", refused)
    monkeypatch.setattr(module.Path, "unlink", refused)
    assert cache.get("key") == b"data"
    Cache(tmp_path, limit_bytes=0).trim()
    assert cache.get("key") == b"data"


class TestFolder:
    def test_a_variable_says_where_it_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))
        assert folder("builds") == tmp_path / "builds"
        monkeypatch.delenv("EDGEWRIGHT_CACHE")
        assert folder("builds") == tmp_path / "xdg" / "edgewright" / "builds"

    def test_otherwise_it_is_in_the_users_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("EDGEWRIGHT_CACHE", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert folder("builds") == tmp_path / ".cache" / "edgewright" / "builds"

    def test_without_a_home_there_is_no_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("EDGEWRIGHT_CACHE", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)

        def unknown(*_: object) -> None:
            raise KeyError("a user without an account")

        monkeypatch.setattr("pwd.getpwuid", unknown)
        assert folder("builds") is None
        Cache(folder("builds")).put("key", b"data")
