"""Training that the families share: a loop, batches of one size from samples of mixed sizes, and files of weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tests.families import Sample

FOLDER = "EDGEWRIGHT_FAMILIES"
"""Name of the environment variable that names the folder of trained weights."""

Module = TypeVar("Module", bound=nn.Module)
Loss = Callable[[dict[str, Tensor]], Tensor]


def load(module: Module, name: str) -> Module:
    """Load a family's trained weights, if `benchmarks/families.py` stored any; return the module in eval mode."""
    file = weights_file(name)
    if file is not None and file.exists():
        # By order: Keras numbers the layers of a process.
        module.load_state_dict(dict(zip(module.state_dict(), torch.load(file), strict=True)))
    return module.eval()


def store(module: nn.Module, file: Path) -> None:
    """Store the weights of a trained module."""
    torch.save([*module.state_dict().values()], file)


def weights_file(name: str) -> Path | None:
    """Return the file of a family's weights; None if no folder is set."""
    return Path(os.environ[FOLDER], f"{name}.pt") if FOLDER in os.environ else None


def fit(module: nn.Module, samples: Sequence[Sample], loss: Loss, steps: int, rate: float = 3e-3) -> None:
    """Train with Adam, and a learning rate that falls to zero.

    Args:
        module: trained in place, and in eval mode afterwards.
        samples: samples with labels.
        loss: the loss of a batch, whose tensors have the names of a sample's arrays.
        steps: number of batches.
        rate: the largest learning rate.
    """
    module.train()
    optimizer = torch.optim.Adam(module.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for batch in batches(samples, steps):
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
        schedule.step()
    module.eval()


def batches(samples: Sequence[Sample], steps: int, size: int = 32) -> Iterator[dict[str, Tensor]]:
    """Draw batches at random, each of samples of one size."""
    groups: dict[object, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(tuple(array.shape for array in sample.values()), []).append(sample)
    rng, alike = np.random.default_rng(0), list(groups.values())
    for _ in range(steps):
        group = alike[rng.integers(len(alike))]
        rows = [group[row] for row in rng.integers(len(group), size=size)]
        yield {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
