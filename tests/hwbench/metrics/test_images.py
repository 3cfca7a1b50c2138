"""Metrics of images and segmentations against definitions word by word, and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwbench import metrics

RNG = np.random.default_rng(0)


def _score(name, own, wanted):
    return metrics.load(name).score({"y": np.asarray(own)}, np.asarray(wanted))


def test_psnr_is_that_of_torchmetrics_example():
    own, wanted = np.array([[[0.0, 1], [2, 3]]]), np.array([[[3.0, 2], [1, 0]]])
    assert _score("psnr", own, wanted) == pytest.approx([2.5527], abs=1e-4)


def test_psnrs_range_is_255_for_bytes_and_that_of_the_labels_otherwise():
    wanted = RNG.integers(0, 100, (2, 8, 8)).astype(np.uint8)
    own = wanted + np.float32(5)
    assert _score("psnr", own, wanted) == pytest.approx([20 * np.log10(255 / 5)] * 2)
    spread = float(np.ptp(wanted))
    assert _score("psnr", own, wanted.astype(np.float32)) == pytest.approx([20 * np.log10(spread / 5)] * 2)
    assert _score("psnr", wanted, wanted).tolist() == [100, 100]


def _similarity_word_by_word(a, b, peak):
    """Compute the structural similarity window by window, as the paper writes it."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for row in range(a.shape[0] - 10):
        for column in range(a.shape[1] - 10):
            x, y = (image[row : row + 11, column : column + 11] for image in (a, b))
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            cov = (weights * (x - mx) * (y - my)).sum()
            c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
            found.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return np.mean(found)


def test_ssim_is_that_of_the_paper():
    wanted = RNG.uniform(size=(2, 14, 13))
    own = wanted + RNG.normal(size=wanted.shape) / 5
    slow = [_similarity_word_by_word(a, b, np.ptp(wanted)) for a, b in zip(own, wanted)]
    assert _score("ssim", own, wanted) == pytest.approx(slow)
    assert 0.2 < min(slow) < 0.95
    bytes_ = (wanted * 255).astype(np.uint8)
    slow = [_similarity_word_by_word(a * 255, b.astype(float), 255) for a, b in zip(own, bytes_)]
    assert _score("ssim", own * 255, bytes_) == pytest.approx(slow)


def test_ssim_averages_channels_which_come_first_or_last():
    wanted = RNG.uniform(size=(2, 3, 14, 13))
    own = wanted + RNG.normal(size=wanted.shape) / 5
    first = _score("ssim", own, wanted)
    channels = [[_similarity_word_by_word(a, b, np.ptp(wanted)) for a, b in zip(own[i], wanted[i])] for i in range(2)]
    assert first == pytest.approx(np.mean(channels, axis=1))
    assert _score("ssim", np.moveaxis(own, 1, 3), np.moveaxis(wanted, 1, 3)) == pytest.approx(first)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((2, 9), "is no image"), ((2, 5, 12, 12), "is no image"), ((2, 10, 12), "is too small; the metric takes 11 x 11")],
)
def test_what_is_no_image_is_told(shape, words):
    with pytest.raises(ValueError, match=words):
        _score("ssim", np.zeros(shape), np.arange(np.prod(shape)).reshape(shape))


PIXELS = np.array([[[0, 0, 1, 1]], [[2, 2, 2, 2]]])
PREDICTED = np.array([[[0, 1, 1, 1]], [[2, 2, 0, 2]]])
IOUS = [(1 / 2 + 2 / 3) / 2, (0 + 3 / 4) / 2]  # classes that are predicted or right in the sample


@pytest.mark.parametrize(
    "own",
    [
        pytest.param(np.moveaxis(np.eye(3)[PREDICTED], 3, 1), id="classes-first"),
        pytest.param(np.eye(3, dtype=np.float32)[PREDICTED], id="classes-last"),
        pytest.param(PREDICTED, id="class-numbers"),
        pytest.param(PREDICTED[:, None], id="class-numbers-with-an-axis"),
    ],
)
def test_iou_is_averaged_over_the_classes_of_each_sample(own):
    assert _score("iou", own, PIXELS) == pytest.approx(IOUS)


def test_pixels_that_are_void_do_not_count():
    for void in (-1, 255):
        labels = PIXELS.copy()
        labels[0, 0, 1] = labels[1, 0, 2] = void  # where the prediction is wrong
        assert _score("iou", np.eye(3)[PREDICTED], labels).tolist() == [1, 1]


def test_one_score_per_pixel_tells_foreground_from_background():
    labels = np.array([[[0, 1, 1, 1]]])
    assert _score("iou", [[[[0.4, 0.6, 0.7, 0.3]]]], labels) == pytest.approx([(1 / 2 + 2 / 3) / 2])


@pytest.mark.parametrize(
    ("own", "labels", "words"),
    [
        (np.zeros((2, 3, 1, 5)), PIXELS, r"output 'y' of shape \[2, 3, 1, 5\] has not the pixels of the labels"),
        (np.zeros((2, 3, 1, 4)), PIXELS + 1, "labels go up to 3, and the model has 3 classes"),
        (np.zeros((2, 3, 1, 4)), PIXELS / 1, "labels are float64; give class numbers"),
        (np.zeros((2, 3, 1, 4)), PIXELS * 0 - 1, "a sample has no pixel that counts"),
    ],
)
def test_what_is_no_segmentation_is_told(own, labels, words):
    with pytest.raises(ValueError, match=words):
        _score("iou", own, labels)
