"""Bundles that prove themselves, and bundles that cannot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_parts import BundleParts

from runtimes.bundles.bundle import Bundle
from runtimes.errors import BundleError, FeedError, TamperedError, UnsupportedError
from runtimes.tensors import Array
from runtimes.verification.golden import GoldenResult, relative_error, replay, slice_error
from toolchain.packaging.pack import Contents, pack


@pytest.fixture
def replayed(contents: Contents, tmp_path: Path) -> Callable[..., GoldenResult]:
    """Pack `contents` with changes, and replay it."""

    def run(**changes: Any) -> GoldenResult:
        path = tmp_path / "x.edge"
        pack(dataclasses.replace(contents, **changes), path)
        with Bundle(path) as opened:
            (result,) = replay(opened)
        return result

    return run


def test_a_good_bundle_proves_itself(bundle: Path) -> None:
    with Bundle(bundle) as opened:
        (result,) = replay(opened)
    assert result.output == "scores"
    assert result.passed
    assert 0 <= result.error < 1e-5
    assert result.tolerance == 1e-3


@pytest.mark.parametrize(("change", "passes"), [(0.0005, True), (0.002, False), (math.nan, False), (math.inf, False)])
def test_outputs_pass_within_the_tolerance(
    replayed: Callable[..., GoldenResult], contents: Contents, change: float, passes: bool
) -> None:
    scores = contents.golden_outputs["scores"]
    result = replayed(golden_outputs={"scores": scores * np.float32(1 + change)})
    assert result.passed is passes
    if math.isfinite(change):
        assert result.error == pytest.approx(change, rel=0.01)


def test_one_wrong_sample_of_four_is_seen(replayed: Callable[..., GoldenResult], contents: Contents) -> None:
    scores = contents.golden_outputs["scores"].copy()
    scores[2] = scores[1]
    assert not replayed(golden_outputs={"scores": scores}).passed


def test_recorded_outputs_of_another_shape_do_not_pass(
    replayed: Callable[..., GoldenResult], contents: Contents
) -> None:
    result = replayed(golden_outputs={"scores": contents.golden_outputs["scores"][:, :1]})
    assert (result.passed, result.error) == (False, math.inf)


def test_a_bundle_without_golden_samples_cannot_prove_itself(contents: Contents, tmp_path: Path) -> None:
    pack(dataclasses.replace(contents, golden_inputs={}, golden_outputs={}), tmp_path / "x.edge")
    with Bundle(tmp_path / "x.edge") as opened, pytest.raises(BundleError, match="holds no golden samples"):
        replay(opened)


@pytest.mark.parametrize("declared", [3, 5, 1])
def test_the_number_of_golden_samples_is_as_declared(
    parts: BundleParts, repacked: Callable[[], Path], declared: int
) -> None:
    parts.manifest["golden"]["samples"] = declared
    message = f"holds 4 golden samples; the manifest declares {declared}"
    with Bundle(repacked()) as opened, pytest.raises(TamperedError, match=message):
        replay(opened)


def test_golden_arrays_without_samples_prove_nothing(
    parts: BundleParts, repacked: Callable[[], Path], tmp_path: Path
) -> None:
    for kind, shape in (("input", (0, 3, 8, 8)), ("output", (0, 5))):
        np.save(tmp_path / "empty.npy", np.zeros(shape, np.float32))
        parts.members[f"golden/{kind}-0.npy"] = (tmp_path / "empty.npy").read_bytes()
    with Bundle(repacked()) as opened, pytest.raises(TamperedError, match="holds 0 golden samples"):
        replay(opened)


def test_golden_inputs_that_do_not_fit_the_model(replayed: Callable[..., GoldenResult], images: Array) -> None:
    with pytest.raises(FeedError, match="Input 'image' is float64; expected float32"):
        replayed(golden_inputs={"image": images.astype(np.float64)})
    with pytest.raises(FeedError, match=r"Input 'image' has shape \[1, 2, 8, 8\]"):
        replayed(golden_inputs={"image": images[:, :2]})


def test_every_digest_is_checked_even_of_what_is_not_replayed(parts: BundleParts, tmp_path: Path) -> None:
    parts.members["report.json"] = parts.members["report.json"].replace(b"none", b"nine")
    with Bundle(parts.write(tmp_path / "x.edge")) as opened, pytest.raises(TamperedError, match=r"'report.json'"):
        replay(opened)


def test_another_machine_s_bundle_is_replayed_on_request(parts: BundleParts, repacked: Callable[[], Path]) -> None:
    arch = parts.manifest["profile"]["arch"]
    parts.manifest["profile"]["arch"] = {"x86_64": "aarch64", "aarch64": "x86_64"}[arch]
    with Bundle(repacked()) as opened:
        with pytest.raises(UnsupportedError):
            replay(opened)
        assert replay(opened, any_machine=True)[0].passed


def test_the_relative_error_is_that_of_norms() -> None:
    assert relative_error(np.array([3.0, 4.0]), np.array([3.0, 4.0])) == 0
    assert relative_error(np.array([3.0, 4.5]), np.array([3.0, 4.0])) == pytest.approx(0.1)
    assert relative_error(np.array([1, 3]), np.array([1, 2])) == pytest.approx(1 / math.sqrt(5))


def test_the_relative_error_is_taken_in_float64() -> None:
    large = np.full(100_000, 60_000, np.float16)
    assert relative_error(large, large) == 0
    assert relative_error(np.array([2**60], np.int64), np.array([-(2**60)], np.int64)) == 2


def test_the_error_against_zeros_is_absolute() -> None:
    assert relative_error(np.array([0.0, 0.25]), np.zeros(2)) == 0.25


@pytest.mark.parametrize(
    ("actual", "expected", "error"),
    [
        ([1.0, math.nan], [1.0, 2.0], math.nan),
        ([1.0, 2.0], [1.0, math.nan], math.nan),
        ([math.nan], [math.nan], math.nan),
        ([1.0, math.inf], [1.0, 2.0], math.nan),
        ([1.0, 2.0], [1.0, math.inf], math.nan),
        ([math.inf], [-math.inf], math.nan),
        ([1.0, -math.inf], [1.0, -math.inf], 0.0),
        ([1.5, -math.inf], [1.0, -math.inf], 0.5),
        ([-math.inf], [-math.inf], 0.0),
        ([[1.0]], [1.0], math.inf),
        ([1.0], ["1.0"], math.inf),
        ([1.0], [1.0j], math.inf),
        ([], [], 0.0),
    ],
)
def test_what_is_not_finite_or_not_comparable(actual: list[float], expected: list[float], error: float) -> None:
    found = relative_error(np.array(actual), np.array(expected))
    assert found == error or (math.isnan(found) and math.isnan(error))
    assert GoldenResult("y", found, 0.6).passed is (found in (0, 0.5))


def test_no_bits_make_it_warn() -> None:
    signalling = np.array([0x7F810000], np.uint32).view(np.float32)  # a NaN that casting warns about
    assert math.isnan(relative_error(np.ones(1, np.float32), signalling))
    assert not relative_error(np.full(2, 1e308), np.full(2, -1e308)) <= 1  # whose difference overflows


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_that_is_small_beside_the_others_is_seen(axis: int) -> None:
    rng = np.random.default_rng(0)
    recorded = np.moveaxis(rng.uniform(0, 640, (5, 20, 20)), 0, axis)
    small = np.moveaxis(recorded, axis, 0)
    small[-1] = rng.uniform(0, 1, small[-1].shape)
    changed = recorded.copy()
    np.moveaxis(changed, axis, 0)[-1] = 0
    assert relative_error(changed, recorded) < 1e-3
    assert slice_error(changed, recorded) > 1e-2
    assert slice_error(recorded, recorded) == 0
    assert slice_error(recorded * 1.5, recorded) == pytest.approx(0.5)


def test_what_cancels_in_float32_is_no_error_of_a_slice() -> None:
    rng = np.random.default_rng(0)
    recorded = rng.standard_normal((4, 1000))
    recorded[:, 7] = 0
    assert slice_error(recorded + 1e-6 * rng.standard_normal(recorded.shape), recorded) < 2e-4


@pytest.mark.parametrize(
    ("actual", "expected", "error"),
    [
        ([1.0, math.nan], [1.0, 1.0], math.nan),
        ([1.0, -math.inf], [1.0, -math.inf], 0.0),
        ([1.5, -math.inf], [1.0, -math.inf], 0.5),
        ([0.0, 0.25], [0.0, 0.0], 0.25),
        ([[1.0]], [1.0], math.inf),
        ([3, 1000], [4, 1000], 1e-3),
        ([], [], 0.0),
        (1.5, 1.0, 0.5),
    ],
)
def test_slices_of_what_is_not_finite_or_not_comparable(actual: Any, expected: Any, error: float) -> None:
    found = slice_error(np.array(actual), np.array(expected))
    assert found == pytest.approx(error, rel=1e-3, nan_ok=True)


def test_float32_bundles_are_judged_by_their_slices(replayed: Callable[..., GoldenResult], contents: Contents) -> None:
    scores = contents.golden_outputs["scores"].copy()
    scores[:, 0] += (
        2e-3 * float(np.sqrt(np.mean(scores**2))) * np.sign(scores[:, 0]) * np.minimum(1, np.abs(scores[:, 0]))
    )
    assert relative_error(scores, contents.golden_outputs["scores"]) < 1e-3
    assert not replayed(golden_outputs={"scores": scores}).passed
