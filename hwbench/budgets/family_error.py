"""Probability of a wrong verdict over all budgets and gates of a run, and the share that each of them may use.

A run fails if one budget is broken, so wrong failures add up, and the budgets share their probability (Bonferroni).
Holm's procedure would be less strict, but it orders the p-values of all tests, and a sequential gate settles each
budget at a time of its own. A run passes only if every budget holds: one that is truly broken would have to pass
wrongly, which has the probability of that one error however many budgets there are (an intersection-union test; Berger,
1982, Multiparameter hypothesis testing and acceptance sampling, Technometrics 24, 295-300).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwbench.budgets.budget import Budget
from hwbench.measurements.quantities import QUANTITIES
from hwbench.wording import count


@dataclass(frozen=True)
class FamilyError:
    """The errors that each verdict may have.

    Attributes:
        total: probability of a wrong failure of the run, at its limits, and of a wrong pass.
        tests: number of verdicts that a sample decides, over all gates of the run.
    """

    total: float
    tests: int = 1

    @property
    def of_failing(self) -> float:
        """The probability of a wrong failure that each verdict may have."""
        return self.total / self.tests

    @property
    def of_passing(self) -> float:
        """The probability of a wrong pass that each verdict may have."""
        return self.total

    @classmethod
    def of(cls, total: float, budgets: Sequence[Budget], gates: int = 1) -> FamilyError:
        """Share an error among the budgets of each of some gates; a file's size has none.

        Args:
            total: the probability of a wrong verdict of the run, between 0 and 1.
            budgets: the budgets of one gate.
            gates: number of gates with as many budgets.
        """
        sampled = sum(each.is_accuracy or QUANTITIES[each.quantity].of_machine for each in budgets)
        return cls(total, gates * max(sampled, 1))

    def describe(self, gates: int = 1) -> str:
        """Say how the error is split, in one sentence."""
        over = count(self.tests // gates, "budget") + (f" in each of {gates} gates" if gates > 1 else "")
        return (
            f"A wrong failure of the run has a probability of at most {self.total:.2g} over {over}, "
            f"{self.of_failing:.2g} for each; for a wrong pass, a broken budget has to pass, which has at most "
            f"{self.of_passing:.2g}."
        )
