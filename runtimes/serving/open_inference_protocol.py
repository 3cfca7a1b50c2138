"""Requests and answers of the Open Inference Protocol (KServe v2) over HTTP, as bytes, without a server.

Tensors may be raw bytes behind the JSON, by the protocol's binary data extension.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtimes.bundles.manifest import Artifact
from runtimes.errors import UsageError
from runtimes.serving.json_tensors import from_json, longest_value
from runtimes.tensors import Array, TensorSpec

_DATATYPES = {
    "bool": "BOOL",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
    "bfloat16": "BF16",
}
_DTYPES = {datatype: dtype for dtype, datatype in _DATATYPES.items() if dtype != "bfloat16"}
_MOST_AXES = 64  # NumPy's limit
_MOST_SIZE = 2**63 - 1


@dataclass(frozen=True)
class Request:
    """A request for one inference.

    Attributes:
        feeds: arrays by the inputs' names.
        id: the client's identifier, which the answer repeats.
        outputs: (name, whether as raw bytes) of each wanted output, in the answer's order.
    """

    feeds: Mapping[str, Array]
    id: str | None
    outputs: tuple[tuple[str, bool], ...]


def metadata(name: str, artifact: Artifact) -> dict[str, Any]:
    """Describe the model's inputs and outputs in the protocol's words; -1 is a dynamic dimension."""
    return {
        "name": name,
        "versions": ["1"],
        "platform": f"{artifact.runtime}_{artifact.precision}",
        "inputs": [_tensor(spec) for spec in artifact.inputs],
        "outputs": [_tensor(spec) for spec in artifact.outputs],
    }


def parse(body: bytes, json_bytes: int | None, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Request:
    """Read an inference request.

    Args:
        body: the body of the HTTP request.
        json_bytes: number of its bytes that are JSON (Inference-Header-Content-Length); None for all.
        inputs: the model's inputs.
        outputs: the model's outputs.

    Raises:
        UsageError: the body is not a valid request; says which part.
    """
    if json_bytes is not None and json_bytes > len(body):
        raise UsageError(f"The request has {len(body):,} bytes, fewer than its header declares for the JSON alone.")
    try:
        head = json.loads(body[:json_bytes])
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The request is not JSON: {error}.") from None
    tensors = head.get("inputs") if isinstance(head, dict) else None
    if not isinstance(tensors, list) or not all(isinstance(tensor, dict) for tensor in tensors):
        raise UsageError("The request has no list `inputs` of tensors.")
    known = [spec.name for spec in inputs]
    feeds: dict[str, Array] = {}
    position = len(body) if json_bytes is None else json_bytes
    for tensor in tensors:
        name = tensor.get("name")
        if name not in known:
            raise UsageError(f"There is no input {name!r:.60}; the model has {', '.join(known)}.")
        if name in feeds:
            raise UsageError(f"The request has two inputs named '{name}'.")
        feeds[name], position = _array(tensor, name, body, position)
    if position != len(body):
        raise UsageError(f"The request has {len(body) - position:,} bytes behind its tensors.")
    number = head.get("id")
    if not isinstance(number, (str, int, type(None))):
        raise UsageError("The request's `id` is no text.")
    return Request(feeds, None if number is None else str(number), _wanted(head, outputs))


def answer(request: Request, outputs: Mapping[str, Array], name: str, most_json_bytes: int) -> tuple[bytes, int | None]:
    """Write an answer.

    Returns:
        The body, and the number of its bytes that are JSON; None if no raw bytes follow the JSON.

    Raises:
        UsageError: an output is wanted as JSON that could take more than `most_json_bytes`.
    """
    tensors, raw = [], []
    for wanted, binary in request.outputs:
        array = outputs[wanted]
        if not binary and array.size * longest_value(array.dtype.name) > most_json_bytes:
            raise UsageError(
                f"Output '{wanted}' of shape {list(array.shape)} is too large for JSON; ask for raw bytes with the "
                "parameter `binary_data`."
            )
        tensor: dict[str, Any] = {
            "name": wanted,
            "datatype": _DATATYPES[array.dtype.name],
            "shape": list(array.shape),
        }
        if binary:
            raw.append(np.ascontiguousarray(array).tobytes())
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = array.reshape(-1).tolist()
        tensors.append(tensor)
    head: dict[str, Any] = {"model_name": name, "model_version": "1", "outputs": tensors}
    if request.id is not None:
        head["id"] = request.id
    text = json.dumps(head).encode()
    return b"".join((text, *raw)), len(text) if raw else None


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else -1 for size in spec.shape]
    return {"name": spec.name, "datatype": _DATATYPES.get(spec.dtype, spec.dtype), "shape": shape}


def _array(tensor: Mapping[str, Any], name: str, body: bytes, position: int) -> tuple[Array, int]:
    shape, datatype = tensor.get("shape"), tensor.get("datatype")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise UsageError(f"Input '{name}' has no `shape` of sizes of 0 or more.")
    if len(shape) > _MOST_AXES or any(size > _MOST_SIZE for size in shape):  # before anything is multiplied
        raise UsageError(f"Input '{name}' has a `shape` that no array has.")
    if not isinstance(datatype, str) or datatype not in _DTYPES:
        raise UsageError(f"Input '{name}' has the `datatype` {datatype!r:.40}; choose from {', '.join(_DTYPES)}.")
    dtype = np.dtype(_DTYPES[datatype])
    count = math.prod(shape)
    parameters = tensor.get("parameters")
    if not isinstance(parameters, dict) or "binary_data_size" not in parameters:
        return from_json(tensor.get("data"), dtype, shape, count, name), position
    size = count * dtype.itemsize
    if parameters["binary_data_size"] != size or position + size > len(body):
        raise UsageError(
            f"Input '{name}' takes {size:,} bytes of data, but the request declares or holds another number."
        )
    data = np.frombuffer(body, dtype.newbyteorder("<"), count, position) if count else np.empty(0, dtype)
    try:
        return _aligned(data).reshape(shape), position + size
    except ValueError as error:  # NumPy limits the number of elements of an empty array, too
        raise UsageError(f"Input '{name}' has a `shape` that no array has: {str(error).rstrip('.')}.") from None


def _aligned(data: Array) -> Array:
    """Return data in native order at an address that is a multiple of its type's size, as runtimes expect."""
    native = data.astype(data.dtype.newbyteorder("="), copy=False)
    return native if native.flags.aligned else native.copy()


def _wanted(head: Mapping[str, Any], specs: Sequence[TensorSpec]) -> tuple[tuple[str, bool], ...]:
    everything = _flag(head, "binary_data_output")
    asked = head.get("outputs")
    if asked is None:
        return tuple((spec.name, everything) for spec in specs)
    if not isinstance(asked, list) or not all(isinstance(output, dict) for output in asked):
        raise UsageError("The request's `outputs` should be a list of objects with a `name`.")
    known, named = [spec.name for spec in specs], set()
    for output in asked:
        if output.get("name") not in known:
            raise UsageError(f"There is no output {output.get('name')!r:.60}; the model has {', '.join(known)}.")
        if output["name"] in named:  # a short request could ask for any number of copies
            raise UsageError(f"The request asks for the output '{output['name']}' twice.")
        named.add(output["name"])
    return tuple((output["name"], _flag(output, "binary_data", everything)) for output in asked)


def _flag(holder: Mapping[str, Any], name: str, default: bool = False) -> bool:
    parameters = holder.get("parameters")
    return bool(parameters.get(name, default)) if isinstance(parameters, dict) else default
