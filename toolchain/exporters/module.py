"""Exporter of `package.module:factory` and `file.py:factory`, functions that return a PyTorch or Keras model."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from hwbench.data import user_code
from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.tensors import TensorSpec
from toolchain.exporters._examples import example_feed
from toolchain.exporters._quiet import quiet
from toolchain.exporters.keras_models.export_model import export_model
from toolchain.exporters.keras_models.exportable import exportable
from toolchain.exporters.keras_models.package import import_keras, is_model, prefer_torch
from toolchain.exporters.tracing.aliases import PrimaryNames
from toolchain.exporters.tracing.export_module import export_and_check
from toolchain.exporters.tracing.export_script import export_script
from toolchain.exporters.tracing.wiring import Wired, by_signature
from toolchain.models.onnx_model import OnnxModel


def export(
    source: str,
    inputs: Sequence[TensorSpec],
    out: Path,
    samples: Mapping[str, Rows] | None = None,
    *,
    trusted: bool = False,
) -> OnnxModel:
    """Call the factory and export what it returns, in eval mode.

    Args:
        source: MODULE:FACTORY or FILE.py:FACTORY.
        inputs: specs of the tensors that `forward` takes, by its parameters' names or in their order; a Keras model
            describes its own.
        out: the file to write.
        samples: real samples to export and check with; random ones for inputs without.
        trusted: makes no difference, since a module is code.

    Raises:
        UsageError: the factory cannot be found, raises, or does not return a module; or the model cannot be exported.
    """
    module = make(source)
    if is_model(module):
        return export_model(module, source, inputs, out, samples)
    if not inputs:
        raise UsageError(
            f"'{source}' needs its inputs described; add --input, as in --input image=float32[N,3,224,224]."
        )
    if not any("past" in spec.name for spec in inputs):
        _switch_caches_off(module)
    feed = example_feed(inputs, samples)
    if isinstance(module, torch.jit.ScriptModule):
        return export_script(module, inputs, feed, out, source)
    with exportable(), PrimaryNames():  # a module may hold layers of Keras
        return export_and_check(Wired(module, by_signature(module, inputs, source)), inputs, feed, out, source)


def _switch_caches_off(module: torch.nn.Module) -> None:
    """Let Hugging Face's decoders, which may be parts of a module, return no cache of every layer."""
    for part in module.modules():
        config: Any = getattr(part, "config", None)
        if getattr(config, "use_cache", False):
            config.use_cache = False


def make(source: str) -> torch.nn.Module:
    """Call a factory, and return its module in eval mode on the CPU.

    Raises:
        UsageError: the factory cannot be found, raises, or does not return a module.
    """
    prefer_torch()  # before the user's file imports Keras
    where, _, name = source.rpartition(":")
    factory = getattr(_import(where), name, None)
    if not callable(factory):
        raise UsageError(f"'{where}' has no function '{name}'; give the source as MODULE:FACTORY or FILE.py:FACTORY.")
    with quiet(), _running(where, f"The factory '{source}' raised"):
        module = factory()
    if is_model(module):
        import_keras()  # one that computes with torch, as no other model is a torch.nn.Module
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"The factory '{source}' returned a {type(module).__name__}; return a torch.nn.Module.")
    return module.eval().cpu()


def _import(where: str) -> ModuleType:
    if where.endswith(".py"):
        return user_code.load(Path(where))
    if "" not in sys.path:
        sys.path.insert(0, "")  # unlike `python -m`, a console script does not search the current folder
    try:
        return importlib.import_module(where)
    except (Exception, SystemExit) as error:  # the user's module may raise any exception, or exit
        raise UsageError(f"'{where}' cannot be imported: {user_code.described(error, Path(where))}") from error


@contextlib.contextmanager
def _running(where: str, what: str) -> Iterator[None]:
    """Run a function of a user's file or module; `what` begins the sentence of its errors."""
    if where.endswith(".py"):
        with user_code.running(Path(where), what):
            yield
        return
    try:
        yield
    except (Exception, SystemExit) as error:  # the user's code may raise any exception
        raise UsageError(f"{what} {user_code.described(error, Path(where))}") from error
