"""Models of one step of a sequence: a GRU cell and a decoder with a KV cache; and whole sequences by them."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from runtimes import npz
from runtimes.sample_arrays import stack
from runtimes.tensors import Array, TensorSpec
from toolchain.exporters import exporter
from toolchain.models.onnx_model import OnnxModel, open_model

CELL_INPUTS = (TensorSpec("x", "float32", ("N", 8)), TensorSpec("hidden", "float32", ("N", 16)))
DECODER_INPUTS = (TensorSpec("token", "int64", ("N", 1)), TensorSpec("past", "float32", ("N", 2, 4, "P", 8)))
VOCABULARY = 40


class Cell(nn.Module):
    """x float32[N,8], hidden float32[N,16] -> scores float32[N,5], the next hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(8, 16), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = self.cell(x, hidden)
        return {"scores": self.head(hidden), "next": hidden}


class Decoder(nn.Module):
    """token int64[N,1], past float32[N,2,4,P,8] -> scores float32[N,40], the past with one more key and value."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.position = nn.Embedding(VOCABULARY, 32), nn.Embedding(64, 32)
        self.qkv, self.out, self.head = nn.Linear(32, 96), nn.Linear(32, 32), nn.Linear(32, VOCABULARY)
        self.mlp = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32))

    def forward(self, token: torch.Tensor, past: torch.Tensor) -> dict[str, torch.Tensor]:
        n, p = past.shape[0], past.shape[3]
        x = self.embed(token) + self.position(torch.arange(p, p + 1))
        q, k, v = (part.reshape(n, 1, 4, 8).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        present = torch.cat([past, torch.stack([k, v], 1)], 3)
        weights = torch.softmax(q @ present[:, 0].transpose(2, 3) / 8**0.5, -1)
        x = x + self.out((weights @ present[:, 1]).transpose(1, 2).reshape(n, 1, 32))
        return {"scores": self.head(x + self.mlp(x))[:, 0], "present": present}


def whole_cell(model: Cell, x: Array) -> Array:
    """The scores of every step of x [steps, 8], by PyTorch's GRU over the whole sequence."""
    gru = nn.GRU(8, 16, batch_first=True)
    gru.load_state_dict({f"{name}_l0": value for name, value in model.cell.state_dict().items()})
    with torch.no_grad():
        scores: Array = model.head(gru(torch.from_numpy(x)[None])[0])[0].numpy()
    return scores


def whole_decoder(model: Decoder, tokens: Array) -> Array:
    """The scores of every step of tokens [steps], by causal attention over the whole sequence."""
    n = len(tokens)
    with torch.no_grad():
        x = model.embed(torch.from_numpy(tokens)) + model.position(torch.arange(n))
        q, k, v = (part.reshape(n, 4, 8).transpose(0, 1) for part in model.qkv(x).chunk(3, -1))
        attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + model.out(attended.transpose(0, 1).reshape(n, 32))
        scores: Array = model.head(x + model.mlp(x)).numpy()
    return scores


def cell() -> Cell:
    """Make a cell with seeded weights, as a source of a build does."""
    torch.manual_seed(0)
    return Cell().eval()


def decoder() -> Decoder:
    """Make a decoder with seeded weights."""
    torch.manual_seed(0)
    return Decoder().eval()


def exported(name: str, out: Path) -> OnnxModel:
    """Export `cell` or `decoder`, once in a process."""
    out.write_bytes(_exported(name))
    return open_model(out)


@functools.cache
def _exported(name: str) -> bytes:
    inputs = CELL_INPUTS if name == "cell" else DECODER_INPUTS
    with tempfile.TemporaryDirectory() as folder:
        model = exporter("module").export(f"step_models:{name}", inputs, Path(folder, "step.onnx"))
        return model.path.read_bytes()


CELL_STATES, DECODER_STATES = {"hidden": "next"}, {"past": "present"}


def sequences(name: str, lengths: Sequence[int], seed: int = 0) -> list[Array]:
    """Random sequences of the first input: x [steps, 8] or tokens [steps, 1]."""
    rng = np.random.default_rng(seed)
    if name == "x":
        return [rng.standard_normal((length, 8)).astype(np.float32) for length in lengths]
    return [rng.integers(0, VOCABULARY, (length, 1)) for length in lengths]


def write_sequences(path: Path, name: str, lengths: Sequence[int], seed: int = 0) -> Path:
    """Write random sequences as samples of a build."""
    npz.write(path, {name: stack(sequences(name, lengths, seed))})
    return path
