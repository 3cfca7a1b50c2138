"""What is found again, and what is not because something it depends on differs."""

from __future__ import annotations

import dataclasses
import os

import pytest
from search_parts import block

from hwbench.machine.identity import this_machine
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates import build_cache as module
from toolchain.candidates.build_cache import Cache, CachedTarget, default_folder


class Counting:
    """A target that says how often it was asked."""

    def __init__(self):
        self.runs = self.samples = 0

    def run(self, bundle, inputs, outputs):
        self.runs += 1
        outputs.write_bytes(b"outputs of " + bundle.read_bytes())

    def sample(self, bundle, inputs, plan):
        self.samples += 1
        return block(self.samples)


@pytest.fixture
def files(tmp_path):
    bundle, inputs = tmp_path / "a.edge", tmp_path / "x.npz"
    bundle.write_bytes(b"a bundle")
    inputs.write_bytes(b"samples")
    return bundle, inputs, tmp_path / "y.npz"


def test_a_second_build_asks_nothing_that_the_first_one_did(files, tmp_path):
    bundle, inputs, outputs = files
    cache, plan = Cache(tmp_path / "cache"), SamplingPlan()
    asked = Counting()
    seen = []
    for _ in range(2):
        target = CachedTarget(asked, cache, this_machine())
        target.run(bundle, inputs, outputs)
        seen.append((outputs.read_bytes(), [target.sample(bundle, inputs, plan) for _ in range(3)]))
    assert (asked.runs, asked.samples, target.reused) == (1, 3, 3)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("what", ["bundle", "inputs", "plan", "machine"])
def test_what_a_measurement_depends_on_is_in_its_key(files, tmp_path, what):
    bundle, inputs, _ = files
    cache, plan, machine, asked = Cache(tmp_path / "cache"), SamplingPlan(), this_machine(), Counting()
    CachedTarget(asked, cache, machine).sample(bundle, inputs, plan)
    if what == "bundle":
        bundle.write_bytes(b"another bundle")
    elif what == "inputs":
        inputs.write_bytes(b"other samples")
    elif what == "plan":
        plan = dataclasses.replace(plan, min_runs=1)
    else:
        machine = dataclasses.replace(machine, cpu="another")
    CachedTarget(asked, cache, machine).sample(bundle, inputs, plan)
    assert asked.samples == 2


def test_what_was_not_used_for_longest_goes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LIMIT_BYTES", 250)
    cache = Cache(tmp_path)
    for number in range(4):
        cache.put(bytes(100), number)
        path = cache.get(number)
        os.utime(path, (number, number))
    cache.trim()
    assert [cache.get(number) is not None for number in range(4)] == [False, False, True, True]


def test_a_fresh_one_finds_nothing_and_leaves_what_it_made(tmp_path):
    Cache(tmp_path).put(b"old", "key")
    fresh = Cache(tmp_path, fresh=True)
    assert fresh.get("key") is None
    fresh.put(b"new", "key")
    assert Cache(tmp_path).get("key").read_bytes() == b"new"


def test_a_damaged_measurement_is_made_again(files, tmp_path):
    bundle, inputs, _ = files
    cache, asked = Cache(tmp_path / "cache"), Counting()
    CachedTarget(asked, cache, this_machine()).sample(bundle, inputs, SamplingPlan())
    (kept,) = [path for path in cache.folder.rglob("*") if path.is_file()]
    kept.write_text('{"samples_ns": [1, 2')
    target = CachedTarget(asked, cache, this_machine())
    target.sample(bundle, inputs, SamplingPlan())
    assert (asked.samples, target.reused) == (2, 0)


def test_a_cache_that_cannot_be_written_costs_no_results(tmp_path):
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file")
    cache.put(b"data", "key")
    assert cache.get("key") is None
    cache.trim()


def test_a_cache_of_another_user_can_be_read(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    cache.put(b"data", "key")

    def refused(*_, **__):
        raise PermissionError

    monkeypatch.setattr(module.os, "utime", refused)
    monkeypatch.setattr(module, "_LIMIT_BYTES", 1)
    monkeypatch.setattr(module.Path, "unlink", refused)
    assert cache.get("key").read_bytes() == b"data"
    cache.trim()


def test_what_another_build_has_just_removed_is_not_there(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    cache.put(b"data", "key")
    real = module.os.utime

    def late(path):
        path.unlink()
        real(path)

    monkeypatch.setattr(module.os, "utime", late)
    assert cache.get("key") is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []  # no empty entry is left


def test_very_large_files_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LARGEST_BYTES", 10)
    cache = Cache(tmp_path)
    cache.put(bytes(11), "large")
    assert cache.get("large") is None


def test_a_variable_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "builds"
    monkeypatch.delenv("EDGEWRIGHT_CACHE")
    assert default_folder().name == "builds"
