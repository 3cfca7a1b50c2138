"""Modules in half precision: what they are exported in, and how far their exports may differ."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping

import torch

from runtimes.tensors import Array
from toolchain.exporters._quiet import quiet
from toolchain.exporters.checks.parity import FLOAT32_TOLERANCE
from toolchain.exporters.tracing.wiring import Wired

_HALVES = (torch.bfloat16, torch.float16)
# Of a float16's 11 bits and a bfloat16's 8, some are lost where two kernels add in another order.
_TOLERANCES = {torch.float16: 2e-2, torch.bfloat16: 1e-1}


def tolerance_of(module: torch.nn.Module) -> float:
    """Say by how much an export may differ from a module, by the least precise type of its weights."""
    return max((_TOLERANCES.get(dtype, 0) for dtype in _dtypes(module)), default=0) or FLOAT32_TOLERANCE


def computable(wired: Wired, feed: Mapping[str, Array]) -> Wired:
    """Put a module into float32 where its export could not be run, with the weights that it has.

    That is a module in bfloat16, for which ONNX Runtime has no kernels on a CPU (onnxruntime#28768), and one in float16
    whose inputs are declared in float32.
    """
    dtypes = _dtypes(wired.module)
    if not dtypes.intersection(_HALVES) or (torch.bfloat16 not in dtypes and _runs(wired, feed)):
        return wired
    with quiet():  # torch warns of the weights of a script's copy
        converted = Wired(copy.deepcopy(wired.module).float(), wired.place)
    return converted if _runs(converted, feed) else wired


def _runs(wired: Wired, feed: Mapping[str, Array]) -> bool:
    try:
        wired.compute(feed)
    except Exception:  # the user's code may raise any exception
        return False
    return True


def _dtypes(module: torch.nn.Module) -> set[torch.dtype]:
    return {tensor.dtype for tensor in itertools.chain(module.parameters(), module.buffers())}
