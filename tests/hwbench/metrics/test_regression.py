"""Metrics of values and signals against scikit-learn, torchmetrics' documented examples, and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference

from hwbench import metrics

RNG = np.random.default_rng(0)
WANTED = RNG.normal(size=(30, 4))
OWN = (WANTED + RNG.normal(size=(30, 4)) / 3).astype(np.float32)


def _score(name, own, wanted):
    return metrics.load(name).score({"y": np.asarray(own)}, np.asarray(wanted))


def test_errors_average_to_those_of_scikit_learn():
    assert _score("mse", OWN, WANTED).mean() == pytest.approx(reference.mean_squared_error(WANTED, OWN))
    assert _score("mae", OWN, WANTED).mean() == pytest.approx(reference.mean_absolute_error(WANTED, OWN))
    assert _score("r2", OWN, WANTED) == pytest.approx(reference.r2_score(WANTED, OWN))


def test_errors_are_per_sample_in_float64():
    assert _score("mse", [[1.0, 3], [0, 0]], [[0.0, 0], [0, 2]]).tolist() == [5, 2]
    assert _score("mae", [[1.0, 3], [0, 0]], [[0.0, 0], [0, 2]]).tolist() == [2, 1]
    assert _score("mse", np.array([300], np.float16), np.array([0], np.float32)).tolist() == [90_000]


def test_axes_of_one_are_no_difference():
    assert _score("mae", np.ones((3, 1)), np.zeros(3)).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match=r"output 'y' of shape \[3, 2\] is not that of the labels, \[3\]"):
        _score("mae", np.ones((3, 2)), np.zeros(3))


@pytest.mark.parametrize("labels", [np.array(["a", "b"]), np.array([1j, 2])])
def test_labels_that_are_no_numbers_are_told(labels):
    with pytest.raises(ValueError, match=r"labels are .*; give numbers"):
        _score("mse", np.ones(2), labels)


def test_r2_takes_labels_that_differ_and_finite_outputs():
    with pytest.raises(ValueError, match="the labels are all equal"):
        _score("r2", np.arange(3.0), np.ones(3))
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        _score("r2", np.array([1, np.inf]), np.arange(2))


def test_si_sdr_is_that_of_torchmetrics_example_whatever_the_scale():
    own, wanted = np.array([[2.5, 0, 2, 8]]), np.array([[3, -0.5, 2, 7]])
    assert _score("si-sdr", own, wanted) == pytest.approx([18.4030], abs=1e-4)
    assert _score("si-sdr", own * 7, wanted / 3) == pytest.approx([18.4030], abs=1e-4)


def test_si_sdr_is_averaged_over_channels_and_bounded():
    tone = np.sin(np.arange(50.0))
    half = np.stack([tone + 0.1 * np.cos(np.arange(50.0)), tone])[None]
    alone = [_score("si-sdr", channel[None], tone[None])[0] for channel in half[0]]
    assert alone[1] == 100
    assert _score("si-sdr", half, np.stack([tone, tone])[None]) == pytest.approx([np.mean(alone)])
    assert _score("si-sdr", np.zeros((1, 50)), tone[None]).tolist() == [-100]
    with pytest.raises(ValueError, match="a label is silent"):
        _score("si-sdr", tone[None], np.zeros((1, 50)))
