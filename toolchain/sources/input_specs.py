"""Input specs as people write them, and example arrays for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from runtimes.errors import UsageError
from runtimes.tensors import Array, TensorSpec

DTYPES = ("float32", "float64", "float16", "int64", "int32", "int8", "uint8", "bool")
"""Of inputs."""

_OPEN_SIZE = 8  # of a dynamic dimension: small, but above 1, so that a model wrongly specialised to size 1 fails
_FORM = re.compile(r"([^=]+)=([a-z0-9]+)\[([^\]]*)\]")


def parse_input(text: str) -> TensorSpec:
    """Read `image=float32[N,3,224,224]`; letters are dynamic dimensions.

    Raises:
        UsageError: names the mistake and the right form.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"Input '{text}' cannot be read; write it like image=float32[N,3,224,224].")
    name, dtype, dims = match[1].strip(), match[2], [dim.strip() for dim in match[3].split(",") if dim.strip()]
    if dtype not in DTYPES:
        raise UsageError(f"Input '{text}': unknown dtype '{dtype}'; choose from {', '.join(DTYPES)}.")
    for dim in dims:
        if not (dim.isidentifier() or (dim.isdigit() and int(dim) > 0)):
            raise UsageError(f"Input '{text}': '{dim}' is no dimension; give a number above zero, or a name like N.")
    return TensorSpec(name, dtype, tuple(int(dim) if dim.isdigit() else dim for dim in dims))


def parse_states(texts: Sequence[str]) -> dict[str, str]:
    """Read `present=past`, an output and the input that takes it at the next step, of each state.

    Returns:
        The outputs by input.

    Raises:
        UsageError: names the mistake and the right form.
    """
    states: dict[str, str] = {}
    for text in texts:
        output, separator, name = (part.strip() for part in text.partition("="))
        if not (output and separator and name):
            raise UsageError(f"State '{text}' cannot be read; write it as OUTPUT=INPUT, like present=past.")
        if name in states:
            raise UsageError(f"State '{text}': the input '{name}' takes the output '{states[name]}' already.")
        states[name] = output
    return states


def example_sequences(specs: Sequence[TensorSpec], n: int, steps: int) -> dict[str, Array]:
    """Draw `n` sequences of random samples (see `example_samples`): first axis the sequences, second the steps."""
    drawn = example_samples(specs, n * steps)
    return {name: array.reshape(n, steps, *array.shape[1:]) for name, array in drawn.items()}


def example_samples(specs: Sequence[TensorSpec], n: int, seed: int = 0) -> dict[str, Array]:
    """Draw `n` random samples per input, first axis the samples: normal floats, integers 0 or 1, booleans.

    An input of integers or booleans that is called a mask begins with ones and ends in zeros, in every row.

    A leading dynamic dimension is taken as the batch; others become 8. A dimension that is the batch of another input
    is 1 everywhere.
    """
    rng = np.random.default_rng(seed)
    batches = {spec.shape[0]: 1 for spec in specs if spec.shape and isinstance(spec.shape[0], str)}
    return {spec.name: _random(rng, spec, n, batches) for spec in specs}


def default_sizes(specs: Sequence[TensorSpec]) -> str:
    """Write the end of a note on random inputs: the sizes that `example_samples` takes; empty if all are static."""
    taken = {spec.name: list(array.shape[1:]) for spec, array in zip(specs, example_samples(specs, 1).values())}
    open_ = [f"{spec} as {taken[spec.name]}" for spec in specs if any(isinstance(dim, str) for dim in spec.shape[1:])]
    return f", at default sizes: {'; '.join(open_)} per sample" if open_ else ""


def _random(rng: np.random.Generator, spec: TensorSpec, n: int, batches: Mapping[str, int]) -> Array:
    has_batch = bool(spec.shape) and isinstance(spec.shape[0], str)
    tail = TensorSpec(spec.name, spec.dtype, spec.shape[1:] if has_batch else spec.shape)
    shape = (n, *tail.resolve(batches, default=_OPEN_SIZE))
    if "mask" in spec.name.lower() and shape[1:] and not spec.dtype.startswith("float"):
        # The first part of each row, as of padded sequences; attention to nothing at all has no value.
        lengths = rng.integers(1, shape[-1] + 1, (*shape[:-1], 1))
        return np.asarray(np.arange(shape[-1]) < lengths).astype(spec.dtype)
    if spec.dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in spec.dtype:
        # 0 and 1 are valid ids even in the smallest vocabulary, that of token types.
        return rng.integers(0, 2, shape).astype(spec.dtype)
    return rng.standard_normal(shape).astype(spec.dtype)
