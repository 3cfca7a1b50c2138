"""Sequences: samples of a model with states, each of which is the inputs of several steps.

Arrays of inputs that are no states have a second axis, the steps. Within one sequence, they are cut into steps by the
rule that cuts other models' samples (`runtimes/samples.py`): with as many axes as the input, a step is
`array[step : step + 1]`, with one more it is `array[step]`. Sequences of mixed lengths are a `RaggedArray`. An array
for a state holds the initial states, one per sequence.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtimes import samples
from runtimes.bundles.states import States, step_inputs
from runtimes.errors import FeedError
from runtimes.inference.session import Session
from runtimes.inference.stream import Stream
from runtimes.sample_arrays import RaggedArray, Rows, stack
from runtimes.tensors import Array, TensorSpec


@dataclass(frozen=True)
class StepSequence:
    """One sequence.

    Attributes:
        initial: initial states by input; those that are missing begin as zeros.
        feeds: the inputs of each step, without states.
    """

    initial: Mapping[str, Array]
    feeds: tuple[dict[str, Array], ...]


def count(inputs: Sequence[TensorSpec], states: States, arrays: Mapping[str, Rows]) -> int:
    """Count the sequences that the arrays hold.

    Raises:
        FeedError: an input that is no state has no array, an array has no axis of steps, a fixed batch is missing, or
            arrays hold different numbers of sequences.
    """
    for spec in inputs:
        if spec.name not in arrays:
            if spec.name in states:
                continue
            raise FeedError(f"There is no array for the input '{spec.name}'; found {', '.join(arrays) or 'none'}.")
        array, lead = arrays[spec.name], leading_axes(spec, states)
        if array.ndim < lead or array.ndim - lead not in (len(spec.shape) - 1, len(spec.shape)):
            axes = "the sequences" if lead == 1 else "the sequences, and its second their steps"
            raise FeedError(
                f"Array '{spec.name}' has shape {list(array.shape)}; the model takes {spec}, and the array's first "
                f"axis must be {axes}."
            )
        if array.ndim - lead < len(spec.shape) and spec.shape[0] not in (1, str(spec.shape[0])):
            raise FeedError(
                f"The model's batch is fixed at {spec.shape[0]}, and array '{spec.name}' of shape {list(array.shape)} "
                f"has no axis for it; give it one axis more for {spec}."
            )
    lengths = {spec.name: len(arrays[spec.name]) for spec in inputs if spec.name in arrays}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise FeedError(f"The arrays hold different numbers of sequences: {listed}.")
    return next(iter(lengths.values()), 0)


def leading_axes(spec: TensorSpec, states: States) -> int:
    """Count the axes of an input's array before those of one step: the samples and, unless it is a state, the steps."""
    return 2 if states and spec.name not in states else 1


def sequences(inputs: Sequence[TensorSpec], states: States, arrays: Mapping[str, Rows]) -> Iterator[StepSequence]:
    """Yield one sequence after another.

    Raises:
        FeedError: as in `count`; or a sequence has no steps, or its arrays have different numbers of them.
    """
    fed = step_inputs(inputs, states)
    for index in range(count(inputs, states, arrays)):
        taken = {spec.name: np.asarray(arrays[spec.name][index]) for spec in fed}
        lengths = {name: len(array) for name, array in taken.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise FeedError(f"The arrays of sequence {index} hold different numbers of steps: {listed}.")
        if not any(lengths.values()):
            raise FeedError(f"Sequence {index} has no steps; give each sequence at least one.")
        initial = {
            spec.name: _state(spec, np.asarray(arrays[spec.name][index]))
            for spec in inputs
            if spec.name in states and spec.name in arrays
        }
        yield StepSequence(initial, tuple(samples.feeds(fed, taken)))


def _state(spec: TensorSpec, array: Array) -> Array:
    return np.ascontiguousarray(array if array.ndim == len(spec.shape) else array[None])


def run_sequences(stream: Stream, found: Iterable[StepSequence]) -> dict[str, Rows]:
    """Run sequences one after another, each from its initial states.

    Returns:
        The outputs; see `gather`.
    """
    outputs = []
    for sequence in found:
        stream.reset(sequence.initial)
        outputs.append([stream.run(feed) for feed in sequence.feeds])
    return gather(outputs)


def gather(outputs: Sequence[Sequence[Mapping[str, Array]]]) -> dict[str, Rows]:
    """Join the outputs of sequences, step by step, into arrays of [samples, steps, ...].

    Sequences of mixed lengths become a `RaggedArray`. An output that changes its size within a sequence, as attention's
    weights do, is filled up with zeros to the sequence's largest.

    Args:
        outputs: of each sequence, the outputs of each step.

    Raises:
        FeedError: an output has different numbers of axes.
    """
    ends = np.cumsum([0, *map(len, outputs)]).tolist()
    joined = samples.gather([step for steps in outputs for step in steps], batch=1)
    return {
        name: stack([_filled(array[start:end]) for start, end in itertools.pairwise(ends)])
        for name, array in joined.items()
    }


def _filled(steps: Rows) -> Array:
    if not isinstance(steps, RaggedArray):
        return np.asarray(steps)
    largest = steps.shapes.max(axis=0)  # the padded array may be as large as another sequence needs
    cut = (slice(None), *map(slice, largest))
    return np.asarray(steps.padded[:])[cut]


def run_samples(session: Session, arrays: Mapping[str, Rows]) -> dict[str, Rows]:
    """Run all samples; those of a model with states as sequences, each in a stream of its own.

    Returns:
        The outputs, first axis the samples; of a model with states, those that are no states, second axis the steps.

    Raises:
        FeedError: the arrays do not fit the model.
        BackendError: as in `Session.run`.
    """
    states = session.artifact.states
    if not states:
        runs = [session.run(feed) for feed in samples.feeds(session.inputs, arrays)]
        return samples.gather(runs, samples.batch_size(session.inputs, arrays))
    return run_sequences(session.stream(), sequences(session.inputs, states, arrays))


def count_samples(session: Session, arrays: Mapping[str, Rows]) -> int:
    """Count the samples, or sequences, that the arrays hold for a session.

    Raises:
        FeedError: the arrays do not fit the model.
    """
    states = session.artifact.states
    return count(session.inputs, states, arrays) if states else samples.count(session.inputs, arrays)
