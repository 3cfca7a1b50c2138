"""Phase that explains why an int8 candidate is slower than float, if it is."""

from __future__ import annotations

import dataclasses

from toolchain.search import slow_layers
from toolchain.search.state import SearchState


def explain(state: SearchState) -> None:
    """Add a remark to each int8 trial that is slower than the float32 trial on its runtime."""
    for trial in list(state.trials.values()):
        state.context.clock.check(1.0)
        if trial.computes_in("int8") or trial.computes_in("int8-dynamic"):
            why = slow_layers.remark(trial, state.trials.values(), state.context.inferences)
            state.put(dataclasses.replace(trial, remark="; ".join(filter(None, (trial.remark, why)))))
