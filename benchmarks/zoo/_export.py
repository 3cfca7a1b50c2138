"""From a torch module to one ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch


def export(
    model: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]],
    file: Path,
) -> None:
    """Write a module as ONNX, weights inside.

    Args:
        model: in eval mode.
        inputs: example tensors in the order of `forward`; their names become the graph's.
        outputs: the graph's names for what `forward` returns.
        dynamic: of each input, the axes that may have any size, and what those are called.
        file: where to.
    """
    names = sorted({name for axes in dynamic.values() for name in axes.values()})
    sizes = {name: torch.export.Dim(name) for name in names}
    # It would say that torchvision is missing, of which nothing here has need.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of its own internals (torch 2.13), of nothing that we do.
        warnings.simplefilter("ignore", (FutureWarning, DeprecationWarning, UserWarning))
        torch.onnx.export(
            model,
            tuple(inputs.values()),
            file,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple({axis: sizes[name] for axis, name in dynamic[key].items()} for key in inputs),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
