"""Wording of changed layers: the cause of a failed verdict in a clause, and the lines of a report."""

from __future__ import annotations

import math

from hwbench.layers.layer_changes import LayerChange, LayerChanges
from hwbench.stats.intervals import CONFIDENCE, Estimate
from hwbench.wording import count, some

_NAMED = 2  # layers that a verdict names


def cause(changes: LayerChanges) -> str:
    """Name the layers that took most of the change, in a clause; empty if none is sure to have changed."""
    slower = [each for each in changes.moved if each.change_us.value > 0][:_NAMED]
    named = [f"{_name(each)} {_size(each)}" for each in slower]
    return f"slower: {', '.join(named)}" if named else ""


def lines(changes: LayerChanges) -> list[tuple[str, str]]:
    """Describe changed layers, each with a name and a sentence."""
    if changes.missing:
        return [("layers", f"not compared: {changes.missing}")]
    found = [(_name(each), _sentence(each)) for each in changes.moved]
    if changes.others:
        found.append(("others", f"{count(changes.others, 'more layer')} changed by less"))
    if changes.total_us is not None:
        found.append(("all nodes", f"{_change(changes.total_us)} of {changes.before_us:.4g} us"))
    if changes.conversions:
        kinds = [f"{abs(n):,} {'more' if n > 0 else 'fewer'} {op}" for op, n in changes.conversions.items()]
        found.append(("conversions", some(kinds, len(kinds))))
    if changes.fallbacks:
        found.append(("fallbacks", f"not run where they should be: {some(changes.fallbacks)}"))
    return [*found, ("compared", _method(changes))]


def _method(changes: LayerChanges) -> str:
    text = f"{count(changes.layers, 'layer')} in {count(changes.rounds, 'profile')} of each side, by turns"
    if changes.moved:
        return f"{text}; all intervals together hold with {CONFIDENCE:.0%} confidence"
    return f"{text}; no layer is sure to have changed, so the time may be outside the nodes"


def _name(each: LayerChange) -> str:
    was = f", before {each.before_op}" if each.before_op else ""
    return f"{each.layer} ({each.op}{was})"


def _size(each: LayerChange) -> str:
    return f"new, {each.change_us.value:.3g} us" if each.before_us is None else f"by {each.change_us.value:.3g} us"


def _sentence(each: LayerChange) -> str:
    if each.before_us is None:
        return f"new: {_change(each.change_us)}"
    if each.after_us is None:
        return f"gone: {_change(each.change_us)}"
    return f"{_change(each.change_us)}: {each.after_us:.3g} us instead of {each.before_us:.3g} us"


def _change(change: Estimate) -> str:
    if math.isinf(change.low):
        return f"{change.value:+.3g} us"
    return f"{change.value:+.3g} us ({change.low:+.3g} to {change.high:+.3g})"
