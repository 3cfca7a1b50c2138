"""The growth of latency with the step, from what blocks record."""

from __future__ import annotations

import dataclasses

from search_parts import block

from hwbench.measurements.latency import Latency
from hwbench.measurements.step_growth import step_growth, step_numbers

FIRST = block(1.0)


def test_samples_are_numbered_by_the_step_of_their_sequence() -> None:
    made = dataclasses.replace(FIRST, samples_ns=(1,) * 9, sequence_steps=(4, 1, 2))
    assert step_numbers(made).tolist() == [0, 1, 2, 3, 0, 0, 1, 0, 1]


def test_the_first_and_the_last_tenth_are_compared() -> None:
    times = [step * 1_000_000 for step in range(1, 21)]
    made = dataclasses.replace(FIRST, samples_ns=tuple(times * 3), sequence_steps=(20,))
    growth = step_growth(Latency("single_stream", 1, 1, (made, made)))
    assert growth is not None
    assert (growth.steps, growth.compared, growth.first_ms, growth.last_ms) == (20, 2, 1.5, 19.5)


def test_short_sequences_count_among_the_first_steps_only() -> None:
    times = (1_000_000, 5_000_000, 9_000_000)  # a sequence of one step, and one of two
    made = dataclasses.replace(FIRST, samples_ns=times, sequence_steps=(1, 2))
    growth = step_growth(Latency("single_stream", 1, 1, (made,)))
    assert growth is not None
    assert (growth.steps, growth.first_ms, growth.last_ms) == (2, 3.0, 9.0)


def test_a_model_without_states_and_single_steps_have_no_growth() -> None:
    assert step_growth(Latency("single_stream", 1, 1, (FIRST,))) is None
    made = dataclasses.replace(FIRST, sequence_steps=(1, 1))
    assert step_growth(Latency("single_stream", 1, 1, (made,))) is None
