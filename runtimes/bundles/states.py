"""States: outputs that a model takes as inputs again at its next step, such as a KV cache or a recurrent cell's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runtimes.errors import FeedError
from runtimes.tensors import Array, TensorSpec

States = Mapping[str, str]
"""Outputs, by the inputs that take them at the next step."""


def fault(states: States, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> str | None:
    """Find a mistake in states, as one clause that begins with "state OUTPUT=INPUT"; None if there is none."""
    taken, given = {spec.name: spec for spec in inputs}, {spec.name: spec for spec in outputs}
    for name, output in states.items():
        pair = f"state {output}={name}"
        if output not in given:
            return f"{pair}: the model has no output '{output}', only {', '.join(given)}"
        if name not in taken:
            return f"{pair}: the model has no input '{name}', only {', '.join(taken)}"
        source, target = given[output], taken[name]
        if source.dtype != target.dtype:
            return f"{pair}: the output is {source.dtype}, and the input takes {target.dtype}"
        if len(source.shape) != len(target.shape):
            return f"{pair}: {source} and {target} differ in their number of axes"
        for axis, (got, wanted) in enumerate(zip(source.shape, target.shape)):
            if isinstance(got, int) and isinstance(wanted, int) and got != wanted:
                return f"{pair}: {source} and {target} differ in axis {axis}"
    if states and not set(taken) - set(states):
        return f"{_listed(states)}: every input is a state, so nothing says how many steps a sequence has"
    if states and not set(given) - set(states.values()):
        return f"{_listed(states)}: every output is a state; let the model return its result as an output of its own"
    return None


def step_inputs(inputs: Sequence[TensorSpec], states: States) -> tuple[TensorSpec, ...]:
    """List the inputs that are no states, of which every step takes new arrays."""
    return tuple(spec for spec in inputs if spec.name not in states)


def step_outputs(outputs: Sequence[TensorSpec], states: States) -> tuple[TensorSpec, ...]:
    """List the outputs that are no states."""
    return tuple(spec for spec in outputs if spec.name not in states.values())


def first_state(
    inputs: Sequence[TensorSpec], states: States, sizes: Mapping[str, int], given: Mapping[str, Array]
) -> dict[str, Array]:
    """Make the state before the first step: the arrays that are given, and zeros for the others.

    A dynamic dimension has the size that the step's other inputs, or the given arrays, give it. Of the rest, a batch is
    1, and any other dimension 0, as that of an empty KV cache.

    Args:
        inputs: all inputs of the model.
        states: its states.
        sizes: the dynamic dimensions of the first step's other inputs.
        given: initial states by input; may lack some.

    Raises:
        FeedError: a state has a dtype that NumPy lacks, so that it has to be given.
    """
    known = dict(sizes)
    for spec in inputs:
        if spec.name in given:
            dims = zip(spec.shape, np.shape(given[spec.name]))
            known.update({letter: size for letter, size in dims if isinstance(letter, str)})
    has_batch = any(spec.shape and isinstance(spec.shape[0], str) for spec in step_inputs(inputs, states))
    state = {}
    for spec in inputs:
        if spec.name in given:
            state[spec.name] = given[spec.name]
        elif spec.name in states:
            batch = {} if has_batch or not spec.shape else {str(spec.shape[0]): 1}
            try:
                state[spec.name] = np.zeros(spec.resolve({**batch, **known}, default=0), spec.dtype)
            except TypeError:
                raise FeedError(
                    f"State '{spec.name}' is {spec.dtype}, which NumPy lacks; give its initial array."
                ) from None
    return state


def _listed(states: States) -> str:
    return " and ".join(f"state {output}={name}" for name, output in states.items())
