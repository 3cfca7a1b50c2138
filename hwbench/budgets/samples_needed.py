"""Number of samples that would decide on an accuracy budget whose verdict is inconclusive."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from hwbench import metrics
from hwbench.measurements.accuracy import Accuracy
from hwbench.stats.inference import Inference
from hwbench.stats.intervals import CONFIDENCE
from hwbench.stats.paired_proportions import PairedProportions

_MARGIN = 1.1  # a tenth more, since the next samples may be a little worse
_LEAST = 0.05  # of the samples at hand, since the estimate is no closer
_MOST = 1e6  # times the samples at hand: so many are nobody's plan


@dataclass(frozen=True)
class SamplesNeeded:
    """Samples beyond those at hand; None if no number of samples like these would do.

    Attributes:
        labelled: samples with labels.
        unlabelled: samples without labels, in place of those with labels.
    """

    labelled: int | None = None
    unlabelled: int | None = None

    @property
    def sentence(self) -> str:
        """The two numbers in words, without a full stop; empty without any."""
        if self.labelled is None and self.unlabelled is None:
            return ""
        if self.unlabelled is None:
            return f"about {self.labelled:,} more samples would settle it"
        if self.unlabelled == self.labelled:
            return f"about {self.labelled:,} more samples would settle it, with labels or without (--unlabelled)"
        if self.labelled is None:
            return f"about {self.unlabelled:,} more samples without labels (--unlabelled) would settle it"
        return (
            f"about {self.labelled:,} more samples would settle it, or {self.unlabelled:,} more without labels "
            "(--unlabelled)"
        )


def samples_needed(accuracy: Accuracy, inference: Inference, room: float, limit: float, asked: float) -> SamplesNeeded:
    """Estimate how many more samples like these would show a figure to be within its limit.

    Args:
        accuracy: the metric's value on the samples at hand.
        inference: the conclusions from them.
        room: the distance from the figure to its limit, within it.
        limit: the limit, in the figure's own unit.
        asked: the confidence that a verdict takes.
    """
    if not 0 < room < math.inf:  # NaN fails these comparisons, too
        return SamplesNeeded()
    if not isinstance(inference, PairedProportions):
        estimate = inference.estimate()
        reach = (estimate.high - estimate.low) / 2 / float(stats.norm.ppf((1 + CONFIDENCE) / 2))
        wanted = accuracy.n * (float(stats.norm.ppf(asked)) * reach / room) ** 2
        return SamplesNeeded(_more(wanted, accuracy.n))
    labelled = _more(inference.pairs_needed(limit, asked), accuracy.n)
    flips = inference.flips
    comparable = accuracy.against == "source" and metrics.scores_decisions(accuracy.metric)
    if not comparable or (flips is not None and flips.changed is None):
        return SamplesNeeded(labelled)
    known = accuracy.n + (flips.n if flips is not None else 0)
    return SamplesNeeded(labelled, _more(inference.flips_needed(limit, asked), known))


def _more(wanted: float, known: int) -> int | None:
    """Round the number of further samples up to two digits."""
    more = max(_MARGIN * wanted - known, _LEAST * known, 1.0)
    if not more < _MOST * known:
        return None
    unit: int = 10 ** max(0, math.floor(math.log10(more)) - 1)
    return math.ceil(more / unit) * unit
