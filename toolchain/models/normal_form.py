"""The form that the toolchain takes ONNX files in, whichever way of writing them their exporter chose."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import RemoveInitializersFromInputsPass

_LISTS_NO_WEIGHTS = 4  # the IR version from which initializers need not be inputs


def normalize(model: ir.Model) -> bool:
    """Rewrite a model's opsets under ONNX's own name, and initializers that are listed as inputs.

    Before IR version 4, initializers had to be inputs. Later, an initializer that is an input is a default value, which
    ONNX Runtime folds into nothing.

    Args:
        model: the model, which is changed.

    Returns:
        True if it had another form.
    """
    changed = False
    for opsets in (model.opset_imports, *(function.opset_imports for function in model.functions.values())):
        if "ai.onnx" in opsets:
            opsets.setdefault("", opsets.pop("ai.onnx"))
            changed = True
    if any(value.is_initializer() for value in model.graph.inputs):
        RemoveInitializersFromInputsPass()(model)
        model.ir_version = max(model.ir_version, _LISTS_NO_WEIGHTS)
        changed = True
    return changed
