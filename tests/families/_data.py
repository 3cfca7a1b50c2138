"""Real data that every machine with the toolchain has: scikit-learn's, matplotlib's, and Python's own texts."""

from __future__ import annotations

import pydoc_data.topics
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from scipy import ndimage
from sklearn import datasets

from runtimes.tensors import Array
from tests.families import Part

CHARACTERS = 96  # printable ASCII; everything else is a space


@lru_cache
def digits(part: Part) -> tuple[Array, Array]:
    """Return handwritten digits: images float32 [n, 8, 8] in 0..1 and classes; 1,197 to train on and 600 to test on."""
    bunch = datasets.load_digits()
    rows = rows_of(part, len(bunch.target), 600)
    return (bunch.images[rows] / 16).astype(np.float32), bunch.target[rows]


def enlarged_digits(part: Part, n: int, sizes: tuple[tuple[int, int], ...]) -> Iterator[tuple[Array, int]]:
    """Yield digits as images [1, height, width], of each size in turn, with their classes."""
    images, classes = digits(part)
    for index, (image, label) in enumerate(zip(images[:n], classes[:n])):
        yield enlarged(image, *sizes[index % len(sizes)])[None], label


def enlarged(image: Array, height: int, width: int) -> Array:
    """Scale an image [h, w] by linear interpolation."""
    scaled: Array = ndimage.zoom(image, (height / image.shape[0], width / image.shape[1]), order=1, grid_mode=False)
    return scaled.astype(np.float32)


def photograph_piece(part: Part, height: int, width: int, rng: np.random.Generator) -> Array:
    """Cut a piece of scikit-learn's photograph of a temple, float32 [height, width]; its right third is for testing."""
    whole = _photograph()
    border = whole.shape[1] * 2 // 3
    whole = whole[:, border:] if part == "test" else whole[:, :border]
    top, left = rng.integers(0, whole.shape[0] - height), rng.integers(0, whole.shape[1] - width)
    return whole[top : top + height, left : left + width].copy()


@lru_cache
def _photograph() -> Array:
    """Return the photograph at half its size, float32 [213, 320] in 0..1."""
    grey = datasets.load_sample_image("china.jpg").mean(axis=2).astype(np.float32) / 255
    halved: Array = grey[:426, :640].reshape(213, 2, 320, 2).mean(axis=(1, 3))
    return halved


@lru_cache
def eeg() -> Array:
    """Return an electroencephalogram, float32 [800, 4] of unit variance, of matplotlib's sample data."""
    signal = np.fromfile(_matplotlib("eeg.dat"), float).reshape(800, 4)
    return ((signal - signal.mean(0)) / signal.std(0)).astype(np.float32)


def signals(part: Part, n: int, lengths: tuple[int, ...]) -> Iterator[Array]:
    """Cut pieces [length, 4] of the electroencephalogram; its last quarter is for testing."""
    whole = eeg()[600:] if part == "test" else eeg()[:600]
    rng = np.random.default_rng(part == "test")
    for index in range(n):
        length = lengths[index % len(lengths)]
        start = rng.integers(0, len(whole) - length + 1)
        yield whole[start : start + length]


@lru_cache
def text() -> Array:
    """Return Python's own reference as characters, int64 in 0..95."""
    topics = pydoc_data.topics.topics
    joined = re.sub(r"\s+", " ", " ".join(topics[name] for name in sorted(topics)))
    codes = np.frombuffer(joined.encode("ascii", "replace"), np.uint8).astype(np.int64) - 32
    return np.where((codes >= 0) & (codes < CHARACTERS), codes, 0)


def passages(part: Part, n: int, lengths: tuple[int, ...]) -> Iterator[Array]:
    """Cut passages of each length in turn; the last tenth of the text is for testing."""
    whole = text()
    border = len(whole) * 9 // 10
    whole = whole[border:] if part == "test" else whole[:border]
    rng = np.random.default_rng(part == "test")
    for index in range(n):
        length = lengths[index % len(lengths)]
        start = rng.integers(0, len(whole) - length)
        yield whole[start : start + length]


WORDS = 512  # ids of words, which share them by their hash; 0 is padding
TOPICS = ("formatstrings", "debugger", "specialnames", "string-methods")  # four long ones, about different things


def topic_words(part: Part, n: int, lengths: tuple[int, ...]) -> Iterator[tuple[Array, int]]:
    """Yield words of one topic of Python's reference, int64 in 1..511, and the topic's number.

    The last fifth of each topic is for testing.
    """
    rng = np.random.default_rng(part == "test")
    topics = [_word_ids(pydoc_data.topics.topics[name]) for name in TOPICS]
    for index in range(n):
        label = index % len(topics)
        words, border = topics[label], len(topics[label]) * 4 // 5
        words = words[border:] if part == "test" else words[:border]
        length = lengths[index // len(topics) % len(lengths)]
        start = rng.integers(0, len(words) - length)
        yield words[start : start + length], label


def _word_ids(prose: str) -> Array:
    words = re.findall(r"[a-z]+", prose.lower())
    # Not hash(), whose seed differs from process to process.
    return np.array([1 + sum(ord(c) * 31**i for i, c in enumerate(word)) % (WORDS - 1) for word in words], np.int64)


def rows_of(part: Part, n: int, test_n: int) -> Array:
    """Choose the rows of a part of a table of `n` rows, in random order."""
    order = np.random.default_rng(0).permutation(n)
    return order[:test_n] if part == "test" else order[test_n:]


def _matplotlib(name: str) -> Path:
    return Path(matplotlib.get_data_path(), "sample_data", name)
