"""A build that is killed, interrupted or out of time, or that a candidate crashes in."""

from __future__ import annotations

import itertools
import signal
import time
from types import SimpleNamespace

import pytest
from search_parts import block

from hwbench.budgets.budget import parse_all
from hwbench.machine.identity import this_machine
from hwbench.targets.local import LocalTarget
from runtimes.bundles.bundle import Bundle
from runtimes.errors import BackendError
from runtimes.verification.golden import replay
from toolchain.pipeline.build import build
from toolchain.search import time_limit

pytestmark = pytest.mark.usefixtures("one_process")


class Killed(BaseException):
    """An exception that nothing catches."""


class Interrupted:
    """A target that counts what it measures, and is interrupted before the n-th measurement."""

    machine = this_machine()

    def __init__(self, turn=None, by=KeyboardInterrupt):
        self._target, self._turn, self._by, self.measured = LocalTarget(), turn, by, 0

    def run(self, bundle, inputs, outputs):
        self._target.run(bundle, inputs, outputs)

    def sample(self, bundle, inputs, plan):
        if self.measured + 1 == self._turn:
            raise self._by
        self.measured += 1
        return self._target.sample(bundle, inputs, plan)


def test_a_build_that_was_killed_goes_on_where_it_was(digits_request, device, tmp_path):
    request = digits_request(
        profiles=(device,),
        precisions=("fp32", "int8"),
        budgets=parse_all(["accuracy_drop<=0.05"]),
        cache=tmp_path / "cache",
    )
    first, second, third = Interrupted(turn=8, by=Killed), Interrupted(), Interrupted()
    with pytest.raises(Killed):
        build(request, first)
    results = build(request, second)
    assert (first.measured, second.measured) == (7, 5)  # of twelve
    assert results.outcome == "pass"
    assert results.profiles[0].search.reused == 7
    assert any("n earlier build on this machine made 7 " in c for c in results.profiles[0].caveats)
    again = build(request, third)
    assert [e.report.latency for e in again.profiles[0].candidates] == [
        e.report.latency for e in results.profiles[0].candidates
    ]
    assert third.measured == 0


def test_a_build_after_damage_to_every_entry_of_its_cache_makes_the_same(digits_request, device, tmp_path, capfd):
    request = digits_request(
        profiles=(device,),
        precisions=("fp32", "int8"),
        budgets=parse_all(["accuracy_drop<=0.05"]),
        cache=tmp_path / "cache",
        exhaustive=True,
    )
    build(request)
    entries = sorted((tmp_path / "cache").iterdir())
    whole = {entry: entry.read_bytes() for entry in entries}
    variants = [content for content in whole.values() if b'"variant"' in content[:200]]
    for number, entry in enumerate(entries):
        content = bytearray(whole[entry])
        content[-1 - number % min(200, len(content))] ^= 1 << number % 8
        entry.write_bytes(content if number % 3 else content[: len(content) // 2])
    capfd.readouterr()
    results = build(request)
    said = capfd.readouterr().err
    assert results.profiles[0].search.reused == 0
    assert len(variants) == 1
    counts = [said.count(entry.name) for entry in entries]
    assert max(counts) == 1  # how many rounds a finalist is measured in depends on what was measured
    assert sum(counts) > len(counts) / 2
    for entry, content in whole.items():
        if content in variants:
            assert entry.read_bytes() == content


def test_an_interrupt_keeps_the_best_so_far(digits_request, device):
    """Two are screened and then tuned; in the middle of that comes Ctrl-C."""
    asked = {"precisions": ("fp32", "int8"), "budgets": parse_all(["accuracy_drop<=0.05"]), "exhaustive": False}
    target = Interrupted(turn=4)
    (found,) = build(digits_request(profiles=(device,), **asked), target).profiles
    assert target.measured == 3
    assert found.search.stopped == "Ctrl-C ended the search"
    assert found.caveats[-1] == "Ctrl-C ended the search; a candidate that it had not tried by then may be better."
    assert found.selected.report.accuracy is not None
    assert found.selected.report.latency is not None
    with Bundle(found.bundle) as bundle:
        assert all(result.passed for result in replay(bundle))


def test_a_time_limit_ends_the_search_and_packs_what_there_is(digits_request, device):
    asked = {"precisions": ("fp32", "int8"), "budgets": parse_all(["accuracy_drop<=0.05"]), "time_limit_s": 1e-3}
    (found,) = build(digits_request(profiles=(device,), **asked)).profiles
    reason = "The time limit of 0.001 s ended the search"
    assert [(entry.precision, entry.status) for entry in found.candidates] == [
        ("fp32", "selected"),
        ("int8", "not built"),
    ]
    assert found.candidates[1].reason == f"not tried: {reason}"
    assert found.search.stopped == reason
    assert found.bundle.is_file()
    assert found.outcome == "inconclusive"  # nobody timed it


class Alarmed(Interrupted):
    """A target that gets the alarm of a time limit at the n-th measurement."""

    def sample(self, bundle, inputs, plan):
        if self.measured + 1 == self._turn:
            self._turn = None
            signal.raise_signal(signal.SIGALRM)
        return super().sample(bundle, inputs, plan)


class Slow:
    """A target on which a model takes long, by the clock of the time limit alone, and int8 half as long as float32."""

    machine = this_machine()

    def __init__(self, seconds, monkeypatch):
        self._target, self._seconds, self._now_s = LocalTarget(), seconds, time.monotonic()
        monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=lambda: self._now_s))

    def run(self, bundle, inputs, outputs):
        self._now_s += self._seconds
        self._target.run(bundle, inputs, outputs)

    def sample(self, bundle, inputs, plan):
        self._now_s += self._seconds
        with Bundle(bundle) as opened:
            precision = opened.manifest.recipe["precision"]
        return block({"int8": 500.0, "int8-dynamic": 800.0}.get(precision, 1000.0))


def test_an_alarm_in_the_middle_of_a_measurement_keeps_the_best_so_far(digits_request, device):
    asked = {"precisions": ("fp32", "int8"), "budgets": parse_all(["accuracy_drop<=0.05"]), "exhaustive": False}
    (found,) = build(digits_request(profiles=(device,), time_limit_s=1000.0, **asked), Alarmed(turn=4)).profiles
    assert found.search.stopped == "The time limit of 1000 s ended the search"
    assert found.selected.report.accuracy is not None
    assert len(found.selected.report.latency.blocks) == 6  # the finalists are timed in the rest of the limit
    with Bundle(found.bundle) as bundle:
        assert all(result.passed for result in replay(bundle))


def build_slowly(digits_request, device, monkeypatch, limit_s):
    precisions = ("fp32", "int8-storage", "int8-dynamic", "int8")
    asked = {"precisions": precisions, "budgets": parse_all(["accuracy_drop<=0.05"]), "exhaustive": False}
    request = digits_request(profiles=(device,), time_limit_s=limit_s, **asked)
    return build(request, Slow(10.0, monkeypatch)).profiles[0]


@pytest.mark.parametrize("runs", [8, 12, 20, None])
def test_a_small_limit_on_a_slow_model_ends_with_the_int8_that_a_long_build_selects_or_says_why_not(
    digits_request, device, monkeypatch, runs
):
    """By the clock of the limit, a run or a block takes ten seconds."""
    found = build_slowly(digits_request, device, monkeypatch, 10.0 * runs if runs else None)
    int8 = next(entry for entry in found.candidates if entry.name == "int8 (onnxruntime)")
    assert found.search.stopped == (f"The time limit of {10 * runs} s ended the search" if runs else None)
    assert int8.screening.p50_ms == 500
    assert int8.status == "selected" or (runs == 8 and int8.reason.endswith(f", not scored: {found.search.stopped}"))
    assert found.selected.report.accuracy is not None
    assert found.selected.report.latency is not None


class Failing:
    """A target that runs models, but whose n-th measurement fails."""

    machine = this_machine()

    def __init__(self, target, turn):
        self._target, self._calls, self._turn = target, itertools.count(1), turn

    def run(self, bundle, inputs, outputs):
        self._target.run(bundle, inputs, outputs)

    def sample(self, bundle, inputs, plan):
        if next(self._calls) == self._turn:
            raise BackendError("The process that runs the model died of signal 11.")
        return self._target.sample(bundle, inputs, plan)


def test_a_candidate_that_crashes_while_it_is_measured_is_a_row_with_the_reason(digits_request, device):
    results = build(
        digits_request(
            profiles=(device,), precisions=("fp32", "bf16-storage"), budgets=parse_all(["accuracy_drop<=0.05"])
        ),
        Failing(LocalTarget(), 3),
    )
    rows = {entry.precision: entry for entry in results.profiles[0].candidates}
    assert (rows["fp32"].status, rows["fp32"].reason) == (
        "not built",
        "The process that runs the model died of signal 11.",
    )
    assert rows["bf16-storage"].status == "selected"
