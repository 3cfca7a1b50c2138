"""Check that a source computes the same again, without which no device could verify a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from hwbench.measurements import interleaved
from hwbench.targets import Target
from hwbench.wording import some
from runtimes.errors import UsageError
from runtimes.verification.golden import largest_error, slice_error
from toolchain.graphs.edits import array_of, is_constant
from toolchain.models.onnx_model import OnnxModel, load_ir
from toolchain.quantizers import fp32

_RANDOM_OPS = frozenset("RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli".split())


def check_repeats(model: OnnxModel, bundle: Path, samples: Path, target: Target) -> None:
    """Run a source that draws random numbers twice, in two processes, and compare its outputs.

    Random numbers that reach no output, or come from a fixed seed, do no harm.

    Args:
        model: the source.
        bundle: the source as a bundle.
        samples: a few samples, as an .npz.
        target: runs the bundle, without a cache.

    Raises:
        UsageError: an output differs; the message names the operators that draw.
    """
    drawing = random_operators(load_ir(model.path))
    if not drawing:
        return
    first, second = (interleaved.outputs(bundle, samples, target) for _ in range(2))
    for name, array in first.items():
        if not largest_error(slice_error, second[name], array) <= fp32.GOLDEN_TOLERANCE:
            raise UsageError(
                f"Output '{name}' differs between two runs of the same samples, since the model draws random numbers "
                f"({some(drawing)}), so that no device could verify its bundle. Make the numbers an input of the "
                "model, or export it in eval mode."
            )


def random_operators(model: ir.Model) -> tuple[str, ...]:
    """Name the kinds of operators that draw random numbers, in subgraphs and functions, too."""
    return tuple(dict.fromkeys(node.op_type for node in _nodes(model) if _draws(node)))


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()


def _draws(node: ir.Node) -> bool:
    if node.op_type == "Dropout" and len(node.inputs) > 2 and node.inputs[2] is not None:  # its mode is an input
        return not is_constant(node.inputs[2]) or bool(array_of(node.inputs[2]))
    return node.op_type in _RANDOM_OPS
