"""The picture of docs/concepts/gate.md: what two real gates knew after each round, and when each was sure.

    python -m benchmarks.gate_picture docs/gate.png

The model is a stack of 40 equal layers. It is compared with itself, and one of 44 layers, which is 10% slower, with it.
Every round is measured here; nothing is drawn that was not.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.stack import LAYERS, pack_stack
from hwbench.budgets.budget import parse
from hwbench.budgets.verdicts import Verdict
from hwbench.formats.sections.provenance import describe
from hwbench.gate.gate import sampling_plan
from hwbench.gate.rounds import Rounds
from hwbench.gate.sides import alternate, bundle_side
from hwbench.gate.stopping_rule import decide
from hwbench.machine.identity import this_machine
from hwbench.results.opened_bundle import open_bundle
from hwbench.targets.local import LocalTarget

_BUDGET = parse("p90<=+5%")
_MAX_TIME_S = 60.0
_SHOWN = 0.2  # of the vertical axis to each side of 0: the first intervals have no end


def main(out: Path) -> None:
    """Run two gates and draw them side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True, layout="constrained")
    with tempfile.TemporaryDirectory() as work:
        stacks = {layers: pack_stack(layers, Path(work, str(layers))) for layers in (LAYERS, LAYERS * 11 // 10)}
        for axis, (layers, stack) in zip(axes, stacks.items()):
            verdict, rounds = _gate(stack, stacks[LAYERS])
            _draw(axis, rounds)
            title = "the same model" if layers == LAYERS else f"a model with {layers / LAYERS - 1:.0%} more layers"
            axis.set_title(f"{title}: {verdict.outcome} after {len(rounds)} rounds")
            print(f"{title}: {verdict.outcome}, {verdict.reason}")
    axes[0].set_ylabel("change of p90 against the baseline")
    axes[1].legend(loc="lower right", frameon=False)
    figure.suptitle(f"p90<=+5% on {describe(this_machine())}", fontsize="small")
    figure.savefig(out, dpi=100)


def _gate(candidate: Path, baseline: Path) -> tuple[Verdict, Rounds]:
    """Measure as `gate_bundle` does."""
    with tempfile.TemporaryDirectory() as work:
        sides = [
            bundle_side(open_bundle(path), LocalTarget(), sampling_plan([_BUDGET]), Path(work, f"{side}.npz"))
            for side, path in enumerate((candidate, baseline))
        ]
        verdicts, rounds = decide(alternate(sides), [_BUDGET], _MAX_TIME_S)
    return verdicts[_BUDGET.text], rounds


def _draw(axis: Axes, rounds: Rounds) -> None:
    """Draw the interval that the first rounds gave, for each number of them, and the change that each round saw."""
    known = [Rounds(rounds.candidate[:number], rounds.baseline[:number]) for number in range(1, len(rounds) + 1)]
    bounds = [some.bounds(_BUDGET) for some in known]
    numbers = range(1, len(rounds) + 1)
    low, high = ([max(min(each, 9.0), -9.0) for each in side] for side in zip(*((b.low, b.high) for b in bounds)))
    axis.fill_between(numbers, low, high, color="#9ecae1", step="mid", label="interval of the median")
    changes = [
        Rounds(rounds.candidate[i : i + 1], rounds.baseline[i : i + 1]).median(_BUDGET) for i in range(len(rounds))
    ]
    axis.plot(numbers, changes, ".", color="#555555", markersize=5, label="one round")
    axis.axhline(_BUDGET.limit, color="#d62728", label="the limit")
    axis.axhline(0, color="#bbbbbb", linewidth=0.8)
    axis.set(xlabel="rounds", ylim=(-_SHOWN, _SHOWN), xlim=(0.5, len(rounds) + 0.5))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:+.0%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
