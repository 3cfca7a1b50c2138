"""A module behind a signature of tensors alone: one argument per input, and a tuple of tensors as its result."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hwbench.progress import say
from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec
from toolchain.exporters._quiet import quiet
from toolchain.exporters._root_cause import root_cause
from toolchain.exporters.tracing.model_lines import where_raised
from toolchain.exporters.tracing.results import named_tensors

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

_MISSPELT = 0.8  # so similar to a parameter is no keyword of `**kwargs`

Place = Callable[[Sequence[torch.Tensor]], tuple[Sequence[Any], Mapping[str, Any]]]
"""Puts the tensors of the inputs, in order, into positional and keyword arguments."""


class Wired(torch.nn.Module):
    """A module whose arguments are the declared inputs, in order."""

    def __init__(self, module: torch.nn.Module, place: Place) -> None:
        super().__init__()
        self.module, self.place = module, place

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the tensors among the module's results."""
        return tuple(tensor for _, tensor in named_tensors(self._result(tensors)))

    def compute(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the outputs by name from arrays by input."""
        with torch.no_grad(), quiet():
            # The model may write into its arguments, so they are copies.
            result = self._result([torch.from_numpy(np.array(array)) for array in feed.values()])
            # A scripted module's outputs may require gradients in spite of no_grad.
            return {name: _array(tensor.detach()) for name, tensor in named_tensors(result)}

    def _result(self, tensors: Sequence[torch.Tensor]) -> Any:
        arguments, keywords = self.place(tensors)
        return self.module(*arguments, **keywords)


def by_signature(module: torch.nn.Module, inputs: Sequence[TensorSpec], source: str) -> Place:
    """Wire inputs to the parameters of `forward` that have their names; in order, if none has.

    That order decides between several inputs is said on stderr.

    Raises:
        UsageError: inputs and parameters do not fit each other; lists the parameters.
    """
    keywords = _wire(signature(module), [spec.name for spec in inputs], source)

    def place(tensors: Sequence[torch.Tensor]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        return (tensors, {}) if keywords is None else ((), dict(zip(keywords, tensors)))

    return place


def computed(wired: Wired, feed: Mapping[str, Array], source: str) -> dict[str, Array]:
    """Compute the outputs by name on the example.

    Raises:
        UsageError: the module fails, or returns something else than tensors.
    """
    try:
        return wired.compute(feed)
    except UsageError as error:
        raise UsageError(f"'{source}': {error}") from error
    except Exception as error:  # the user's code may raise any exception
        where = where_raised(error)
        given = " and ".join(f"{name} {list(array.shape)}" for name, array in feed.items())
        raise UsageError(
            f"'{source}' fails on inputs of the declared shapes, {given}{f', at {where}' if where else ''}: "
            f"{root_cause(error)}. These inputs are the first calibration or evaluation sample, or random numbers if "
            "none fits; correct the --input, or give valid samples with --calibration FILE.npz."
        ) from error


def signature(module: torch.nn.Module) -> inspect.Signature:
    """Read the parameters of `forward`; TorchScript keeps them in a schema of its own."""
    schema = getattr(module.forward, "schema", None)
    if schema is None:
        return inspect.signature(module.forward)
    return inspect.Signature(
        [
            inspect.Parameter(
                each.name,
                inspect.Parameter.KEYWORD_ONLY if each.kwarg_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=each.default_value if each.has_default_value() else inspect.Parameter.empty,
            )
            for each in schema.arguments[1:]  # the first is the module itself
        ]
    )


def _wire(signature: inspect.Signature, inputs: Sequence[str], source: str) -> list[str] | None:
    """Find the keyword of each input; None if all go by position."""
    parameters = list(signature.parameters.values())
    kinds = {each.kind for each in parameters}
    shown = signature.replace(
        parameters=[each.replace(annotation=each.empty) for each in parameters],
        return_annotation=inspect.Signature.empty,
    )
    takes = f"`forward` takes {shown}"
    keywords = {each.name for each in parameters if each.kind in _BY_NAME}
    required = [each for each in parameters if each.kind in (*_BY_POSITION, *_BY_NAME) and each.default is each.empty]
    if keywords & set(inputs):
        unknown = [name for name in inputs if name not in keywords]
        misspelt = any(difflib.get_close_matches(name, keywords, cutoff=_MISSPELT) for name in unknown)
        if misspelt or (unknown and inspect.Parameter.VAR_KEYWORD not in kinds):
            raise UsageError(
                f"'{source}' has no input {_listed(unknown)}; name each --input after its parameter: {takes}."
            )
        missing = [each.name for each in required if each.name not in inputs]
    else:
        places = [each.name for each in parameters if each.kind in _BY_POSITION]
        if len(inputs) > len(places) and inspect.Parameter.VAR_POSITIONAL not in kinds:
            raise UsageError(
                f"'{source}' takes {len(places)} inputs by position, and {len(inputs)} were given ({_listed(inputs)}); "
                f"name each --input after its parameter: {takes}."
            )
        missing = [each.name for each in required if each.name not in places[: len(inputs)]]
        order = f"No --input of '{source}' has the name of a parameter, so they are taken in order: "
        order += ", ".join(f"{name} is {place}" for name, place in zip(inputs, places))
    if missing:
        by_order = "" if keywords & set(inputs) else f" {order}."
        raise UsageError(
            f"'{source}' needs {_listed(missing)}, too; {takes}. Describe each tensor with an --input.{by_order}"
        )
    if keywords & set(inputs):
        return list(inputs)
    if len(inputs) > 1 and places:
        say(f"{order}.")
    return None


def _array(tensor: torch.Tensor) -> Array:
    array: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()  # NumPy has no bfloat16
    return array


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
