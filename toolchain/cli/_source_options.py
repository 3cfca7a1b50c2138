"""Options that say what a source is: its inputs, outputs and states, and whether it is trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runtimes.tensors import TensorSpec

F = TypeVar("F", bound=Callable[..., Any])


def trust_option(function: F) -> F:
    """Add --trust-source, which a configuration file cannot give."""
    return click.option(
        "--trust-source",
        "trusted",
        is_flag=True,
        help="Read SOURCE although it holds what runs as code, such as pickled objects in a .pt2.",
    )(function)


def input_option(function: F) -> F:
    """Add --input, repeatable."""
    return click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME=DTYPE[SHAPE]",
        callback=_inputs,
        help="An input, as in image=float32[N,3,224,224]; letters are dynamic dimensions. Repeatable; it goes to the "
        "parameter of forward that has its name, or to the one in its place if none has.",
    )(function)


def output_option(function: F) -> F:
    """Add --output, repeatable."""
    return click.option(
        "--output",
        "outputs",
        multiple=True,
        metavar="NAME",
        help="A new name for an output. Repeatable, in the order of the model's outputs; the others keep their names.",
    )(function)


def _inputs(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[TensorSpec, ...]:
    from toolchain.sources.input_specs import parse_input

    return tuple(parse_input(text) for text in texts)


def state_option(function: F) -> F:
    """Add --state, repeatable."""
    return click.option(
        "--state",
        "states",
        multiple=True,
        metavar="OUTPUT=INPUT",
        callback=_states,
        help="An output that the model takes as an input at its next step, as in present=past; samples are then "
        "sequences of steps. Repeatable.",
    )(function)


def _states(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    from toolchain.sources.input_specs import parse_states

    return parse_states(texts)
