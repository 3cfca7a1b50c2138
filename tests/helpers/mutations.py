"""Plain data, and one change somewhere in it."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**31, 2**63, 10**400])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([float("nan"), float("inf"), float("-inf")])
    | st.text(max_size=8)
    | st.sampled_from(["float32", "object", "null", "onnxruntime", "N", "../x", "/etc/passwd", "\ud800", "a\nb", "\0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn, data: Any) -> Any:
    """A copy of `data` in which one value is replaced, removed, or joined by another."""
    data = copy.deepcopy(data)
    containers = _containers(data)
    container = containers[draw(st.integers(0, len(containers) - 1))]
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    kind = draw(st.sampled_from(["replace", "remove", "add"] if keys else ["add"]))
    if kind == "add":
        if isinstance(container, dict):
            container[draw(st.text(max_size=6))] = draw(PLAIN)
        else:
            container.append(draw(PLAIN))
        return data
    key = keys[draw(st.integers(0, len(keys) - 1))]
    if kind == "remove":
        del container[key]
    else:
        container[key] = draw(PLAIN)
    return data


def _containers(data: Any) -> list[Any]:
    found, waiting = [], [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, (dict, list)):
            found.append(item)
            waiting += item.values() if isinstance(item, dict) else item
    return found
