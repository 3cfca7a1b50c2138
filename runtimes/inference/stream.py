"""Streams: a model that is run step by step, with its states fed back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from runtimes.bundles.states import States, first_state, step_inputs, step_outputs
from runtimes.errors import FeedError
from runtimes.tensors import Array, Feeds, TensorSpec, check_feeds


class Stream:
    """One sequence of steps. Each step takes the inputs that are no states, and returns the outputs that are none.

    Several streams of one session may be interleaved, and run in threads of their own; one stream is for one thread.
    No state is copied: what the runtime returned is what it is fed at the next step.

    Args:
        run: computes all outputs from all inputs.
        inputs: all inputs of the model.
        outputs: all outputs of the model.
        states: its states.
        initial: states before the first step, by input; zeros for those that it lacks (see `first_state`).

    Attributes:
        inputs: the inputs of a step.
        outputs: the outputs of a step.

    Raises:
        FeedError: `initial` names no state.
    """

    def __init__(
        self,
        run: Callable[[Feeds], Mapping[str, Array]],
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        states: States,
        initial: Mapping[str, Array] | None = None,
    ) -> None:
        self._run, self._all_inputs, self._states = run, inputs, states
        self.inputs, self.outputs = step_inputs(inputs, states), step_outputs(outputs, states)
        self.reset(initial)

    @property
    def state(self) -> dict[str, Array]:
        """The states by input, which may start another stream; before the first step, those that were given."""
        return dict(self._state)

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Compute the next step.

        Args:
            feeds: an array for every input that is no state.

        Returns:
            An array for every output that is no state. After an error, the stream is where it was.

        Raises:
            FeedError: an array is missing, unknown, or of another dtype or shape.
            BackendError: as in `Session.run`.
        """
        outputs = self._run({**feeds, **self.state_for(feeds)})
        self._state = {name: outputs[output] for name, output in self._states.items()}
        return {spec.name: outputs[spec.name] for spec in self.outputs}

    def state_for(self, feeds: Feeds) -> dict[str, Array]:
        """Return the states that the next step takes beside these inputs.

        Raises:
            FeedError: as in `run`.
        """
        sizes = check_feeds(self.inputs, feeds)
        if len(self._state) < len(self._states):
            return first_state(self._all_inputs, self._states, sizes, self._state)
        return self._state

    def reset(self, initial: Mapping[str, Array] | None = None) -> None:
        """Begin a new sequence.

        Raises:
            FeedError: `initial` names no state.
        """
        unknown = sorted(set(initial or ()) - set(self._states))
        if unknown:
            raise FeedError(f"States unknown {', '.join(map(repr, unknown))}; the model has {', '.join(self._states)}.")
        self._state = dict(initial or {})
