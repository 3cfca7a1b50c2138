"""Cache hits, and misses because something that the artifact depends on differs."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from search_parts import block

from hwbench.machine.identity import this_machine
from runtimes import npz
from runtimes.cache import Cache
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.candidates import build_cache as module
from toolchain.candidates.build_cache import CachedTarget, default_folder, open_cache


class Counting:
    """A target that says how often it was asked."""

    def __init__(self):
        self.runs = self.samples = 0

    def run(self, bundle, inputs, outputs):
        self.runs += 1
        npz.write(outputs, {"y": np.frombuffer(bundle.read_bytes(), np.uint8)})

    def sample(self, bundle, inputs, plan):
        self.samples += 1
        return block(self.samples)


@pytest.fixture
def files(tmp_path):
    bundle, inputs = tmp_path / "a.edge", tmp_path / "x.npz"
    bundle.write_bytes(b"a bundle")
    inputs.write_bytes(b"samples")
    return bundle, inputs, tmp_path / "y.npz"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"outputs"])
def test_outputs_that_cannot_be_read_are_made_again_and_said_once(files, tmp_path, content):
    asked, told = Counting(), []
    cache = Cache(tmp_path / "cache", warn=told.append)
    target = CachedTarget(asked, cache, this_machine())
    target.run(*files)
    (entry,) = cache.folder.iterdir()
    key = json.loads(entry.read_bytes().partition(b"\n")[0])["key"]
    cache.put(key, content)  # sealed, as a program with a mistake would
    for _ in range(2):
        target.run(*files)
    assert list(npz.read(files[2])) == ["y"]
    assert (asked.runs, len(told)) == (2, 1)
    assert "holds no outputs" in told[0]


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


def test_a_damaged_measurement_is_made_again(files, tmp_path):
    bundle, inputs, _ = files
    cache, asked = Cache(tmp_path / "cache"), Counting()
    CachedTarget(asked, cache, this_machine()).sample(bundle, inputs, SamplingPlan())
    (kept,) = cache.folder.iterdir()
    kept.write_bytes(kept.read_bytes()[:-9])
    target = CachedTarget(asked, cache, this_machine())
    target.sample(bundle, inputs, SamplingPlan())
    assert (asked.samples, target.reused) == (2, 0)


def test_code_that_changed_measures_again(files, tmp_path, monkeypatch):
    bundle, inputs, _ = files
    asked = Counting()
    for code in ("old", "new"):
        monkeypatch.setattr(module, "_code_sha256", lambda code=code: code)
        CachedTarget(asked, open_cache(tmp_path / "cache"), this_machine()).sample(bundle, inputs, SamplingPlan())
    assert asked.samples == 2


def test_outputs_that_are_too_large_are_not_kept(files, tmp_path):
    asked, cache = Counting(), Cache(tmp_path / "cache", limit_bytes=100)
    for _ in range(2):
        CachedTarget(asked, cache, this_machine()).run(*files)
    assert asked.runs == 2


def test_a_variable_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "builds"
    monkeypatch.delenv("EDGEWRIGHT_CACHE")
    assert default_folder().name == "builds"
