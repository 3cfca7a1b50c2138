"""States of a source: checked against it, and samples to export it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtimes.bundles.states import States, fault
from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.tensors import TensorSpec
from toolchain.models.onnx_model import OnnxModel


def check_states(states: States, model: OnnxModel) -> None:
    """Check states against the model that they are given for.

    Raises:
        UsageError: an output or an input is unknown, or the two differ; says which.
    """
    wrong = fault(states, model.inputs, model.outputs)
    if wrong is not None:
        raise UsageError(f"--{wrong}.")


def check_described(states: States, inputs: Sequence[TensorSpec]) -> None:
    """Check states against the inputs that the user described, before there is a model to compare them with.

    Raises:
        UsageError: a state goes to an input that is not among them.
    """
    names = [spec.name for spec in inputs]
    for name, output in states.items():
        if names and name not in names:
            raise UsageError(f"--state {output}={name}: no --input describes '{name}', only {', '.join(names)}.")


def first_steps(arrays: Mapping[str, Rows], states: States) -> Mapping[str, Rows]:
    """Take the steps of the first sequence as samples to export with; samples of other models stay as they are.

    States are left out, so that a cache that begins empty is exported at a size above zero.
    """
    if not states:
        return arrays
    return {name: array[0] for name, array in arrays.items() if name not in states and array.ndim > 1 and len(array)}
