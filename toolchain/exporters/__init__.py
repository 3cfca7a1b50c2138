"""Exporters, one kind of source per file: each exports a source to ONNX and checks the result against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from runtimes import plugins

if TYPE_CHECKING:  # telling a source's kind imports neither ONNX nor torch
    from runtimes.sample_arrays import Rows
    from runtimes.tensors import TensorSpec
    from toolchain.models.onnx_model import OnnxModel


class Exporter(Protocol):
    """A module of this folder."""

    def export(
        self,
        source: str,
        inputs: Sequence[TensorSpec],
        out: Path,
        samples: Mapping[str, Rows] | None = None,
        *,
        trusted: bool = False,
    ) -> OnnxModel:
        """Export a source to ONNX.

        Args:
            source: a file, or MODULE:FACTORY.
            inputs: specs from --input; may be empty if the source declares its own.
            out: the ONNX file to write, if one is needed.
            samples: arrays by input, first axis the samples, to export and check with; random ones for inputs without.
            trusted: read a file although it holds what runs as code.

        Raises:
            UsageError: the source cannot be read or exported, or holds code and is not trusted.
        """


def exporter(kind: str) -> Exporter:
    """Load the exporter of a kind of source: "keras", "module", "onnx", "pt2" or "torchscript"."""
    return cast(Exporter, plugins.load(__name__, kind, "kind of source"))
