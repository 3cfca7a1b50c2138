"""The inputs and outputs of a Keras model, as it describes them itself."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from runtimes.tensors import TensorSpec
from toolchain.exporters.checks.declared_inputs import check_dtypes, matched

_MODES = ("training", "mask")  # parameters of `call` that are no inputs


def own_inputs(model: Any) -> tuple[TensorSpec, ...]:
    """Read the inputs of a model, in its own order; none if it is a class of the user's, or was never called.

    The first axis is the batch, `N`. Other open axes are `T` in sequences and `H`, `W` in pictures, and hold the name
    of their input where there are several.
    """
    tensors = getattr(model, "inputs", None) or ()
    if not tensors:
        return ()
    structure = _structure(model)
    by_key = isinstance(structure, Mapping) and len(structure) == len(tensors)
    names = sorted(structure) if by_key else _names([tensor._keras_history.operation for tensor in tensors], "input")
    return tuple(
        TensorSpec(name, tensor.dtype, _named(tensor.shape, f"_{name}" if len(tensors) > 1 else ""))
        for name, tensor in zip(names, tensors)
    )


def declared_inputs(own: Sequence[TensorSpec], inputs: Sequence[TensorSpec], source: str) -> tuple[TensorSpec, ...]:
    """Let the user's specs replace names, dtypes and open sizes: those of the same names, else those in order.

    Raises:
        UsageError: there are more or less, a shape does not fit the model's, or inputs cannot have a dtype.
    """

    def fits(spec: TensorSpec, found: TensorSpec) -> bool:
        return len(spec.shape) == len(found.shape) and all(
            isinstance(has, str) or has == wants for wants, has in zip(spec.shape, found.shape)
        )

    specs = matched(own, inputs, source, fits)
    check_dtypes(specs, source)
    return specs


class Described(torch.nn.Module):
    """A model that describes its inputs, behind one argument per input and a dict of outputs by name."""

    def __init__(self, keras: Any, model: Any) -> None:
        super().__init__()
        self.model, self._tree = model, keras.tree
        self._structure = _structure(model)
        self._names = _names([tensor._keras_history.operation for tensor in model.outputs], "output")

    def forward(self, *tensors: torch.Tensor) -> Any:
        """Compute in inference mode."""
        result = self.model(self._tree.pack_sequence_as(self._structure, tensors), training=False)
        if isinstance(result, Mapping):
            return result
        return dict(zip(self._names, self._tree.flatten(result)))


class Called(torch.nn.Module):
    """A model of a class of the user's, behind the parameters of its `call`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        own = inspect.signature(model.call)
        kept = [each for name, each in own.parameters.items() if name not in _MODES]

        def forward(*arguments: Any, **keywords: Any) -> Any:
            return model(*arguments, **keywords, training=False)

        forward.__signature__ = own.replace(parameters=kept)  # type: ignore[attr-defined]
        self.forward = forward


def _structure(model: Any) -> Any:
    """Read the structure of a model's inputs, which a Sequential model does not keep."""
    return model.input if hasattr(model, "output_names") else model.inputs[0]


def _named(shape: Sequence[int | None], suffix: str) -> tuple[int | str, ...]:
    letters = {1: "H", 2: "W"} if len(shape) == 4 else {1: "T"}
    open_ = ["N", *(f"{letters.get(axis, f'D{axis}')}{suffix}" for axis in range(1, len(shape)))]
    # The size of a batch is what the model was first called with, and Keras takes any.
    return tuple(open_[axis] if size is None or axis == 0 else size for axis, size in enumerate(shape))


def _names(operations: Sequence[Any], kind: str) -> list[str]:
    """Take the names that the user gave; others count all operations, and change with each that is added.

    Names that occur more than once are numbered, as those of a layer that returns its states.
    """
    names = [kind if _is_automatic(each) else each.name for each in operations]
    counts, seen = Counter(names), Counter[str]()
    unique = []
    for name in names:
        unique.append(f"{name}_{seen[name]}" if counts[name] > 1 else name)
        seen[name] += 1
    return unique


def _is_automatic(operation: Any) -> bool:
    """Tell whether Keras named an operation, after its class: `leaky_re_lu_2` is the third LeakyReLU."""
    return re.sub(r"(_\d+)?$", "", operation.name, count=1).replace("_", "") == type(operation).__name__.lower()
