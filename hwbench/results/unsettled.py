"""The question that a build leaves open: a better candidate whose accuracy is not sure, and what would settle it."""

from __future__ import annotations

from dataclasses import dataclass

from hwbench.budgets.samples_needed import SamplesNeeded
from hwbench.budgets.verdict_wording import probability_text


@dataclass(frozen=True)
class Unsettled:
    """A candidate that is better than the selected one, and too uncertain to be within a budget on accuracy.

    Attributes:
        candidate: its name.
        better: its advantage in words: "1.3x faster".
        budget: the budget, as the user wrote it.
        probability: the confidence that the budget holds.
        asked: the confidence that was asked for.
        needed: the samples that would settle it.
        settled_at: the largest confidence, with two digits, at which it would be selected.
    """

    candidate: str
    better: str
    budget: str
    probability: float
    asked: float
    needed: SamplesNeeded
    settled_at: float

    @property
    def sentence(self) -> str:
        """The question that is open and what answers it, without a full stop."""
        parts = (
            f"{self.candidate} is {self.better} than what was selected, and probably within {self.budget} "
            f"({probability_text(self.probability)}, {self.asked:.6g} is asked)",
            self.needed.sentence,
            f"--confidence {self.settled_at:.6g} selects it now",
        )
        return "; ".join(filter(None, parts))
