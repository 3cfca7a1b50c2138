"""One file that takes part in the peers benchmark, and the tables that it prints."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ALLOWED = 0.01
"""Loss that is allowed: of the score, or of the source's score where that is above one."""
ALLOWED_RANDOM = 0.2
"""The same of models with random weights, which are there for their latency; their score is likeness to the source."""


@dataclass
class Contender:
    """A file, what making it cost, what it scores, and its rounds' medians in ms."""

    name: str
    file: Path
    runtime: str
    seconds: float = 0.0
    megabytes: float = 0.0
    failure: str = ""
    score: float = math.nan
    drop: float = math.nan
    what: str = ""
    rounds_ms: tuple[float, ...] = ()

    @property
    def ms(self) -> float:
        """The median of the rounds' medians."""
        return statistics.median(self.rounds_ms)

    def holds(self, source: Contender, trained: bool) -> bool:
        """Tell whether it loses no more than is allowed, which is the same for peers and for ours."""
        return self.drop <= (ALLOWED * max(1.0, abs(source.score)) if trained else ALLOWED_RANDOM)

    @property
    def noise(self) -> float:
        """Half the middle half of the rounds, as a share of the median."""
        low, high = np.quantile(self.rounds_ms, [0.25, 0.75])
        return float(high - low) / 2 / self.ms


def print_table(name: str, threads: int, contenders: Sequence[Contender], trained: bool) -> None:
    """One model's contenders; the first is the source, which the others are compared with."""
    print(f"\n{name}, {threads} thread{'s' if threads > 1 else ''}")
    print(f"  {'contender':17}{'p50 ms':>9}  {'middle half':17}{'x fp32':>7}{'score':>9}{'drop':>9}{'s':>7}{'MB':>7}")
    source = contenders[0]
    for c in contenders:
        if c.failure:
            print(f"  {c.name:17} failed: {c.failure}")
            continue
        low, high = np.quantile(c.rounds_ms, [0.25, 0.75])
        figures = f"{c.ms:9.3f}  {f'[{low:.3f}, {high:.3f}]':17}{c.ms / source.ms:7.2f}{c.score:9.4f}{c.drop:+9.4f}"
        remark = "" if c.holds(source, trained) else "  loses more"
        print(f"  {c.name:17}{figures}{c.seconds:7.1f}{c.megabytes:7.0f}  {c.what}{remark}")
    sys.stdout.flush()


def print_summary(measured: Mapping[tuple[str, int], Sequence[Contender]], trained: Sequence[str]) -> None:
    """Ours against the best peer that loses no more than is allowed, means over the models, and what making cost."""
    for threads in sorted({count for _, count in measured}):
        print(f"\nAll models, {threads} thread{'s' if threads > 1 else ''}")
        ratios: dict[str, list[float]] = {}
        models = {name: contenders for (name, count), contenders in measured.items() if count == threads}
        for name, contenders in models.items():
            ours, source = contenders[-1], contenders[0]
            if ours.failure:
                print(f"  {name:13} OURS FAILED: {ours.failure}")
                continue
            peers = [c for c in contenders[:-1] if not c.failure and c.holds(source, name in trained)]
            best = min(peers, key=lambda c: c.ms)
            slack = ours.noise + best.noise
            word = "never slower" if ours.ms <= best.ms * (1 + slack) else "SLOWER"
            word += "" if ours.holds(source, name in trained) else ", LOSES MORE"
            cost = sum(c.seconds for c in contenders[:-1])
            speed = f"ours {ours.ms:8.3f} ms, best peer {best.ms:8.3f} ms ({best.name}), noise {slack:.0%}: {word}"
            memory = max(c.megabytes for c in contenders[:-1])
            made = f"made in {ours.seconds:.0f} s against {cost:.0f} s, {ours.megabytes:.0f} against {memory:.0f} MB"
            print(f"  {name:13} {speed}; {made}")
            static = next((c for c in contenders if c.name.startswith("ORT static") and not c.failure), None)
            if static is not None:
                ratios.setdefault("ORT static / ours, all", []).append(static.ms / ours.ms)
            if name in trained:
                ratios.setdefault("ours / ORT fp32, trained", []).append(ours.ms / source.ms)
        for what, values in ratios.items():
            print(f"  geometric mean of {what}: {statistics.geometric_mean(values):.2f} over {len(values)} models")
        _print_costs(list(models.values()))


def _print_costs(models: Sequence[Sequence[Contender]]) -> None:
    """Sum the time that making took over all models: our builds, and every peer's flow, also one that failed."""
    ours = [contenders[-1] for contenders in models]
    peers = [c for contenders in models for c in contenders[:-1]]
    seconds = [sum(c.seconds for c in row) for row in (ours, peers)]
    print(f"  made in all: ours {seconds[0]:.0f} s, the peers' flows {seconds[1]:.0f} s")
    gigabytes = [sum(c.megabytes for c in row) / 1e3 for row in (ours, peers)]
    largest = [max((c.megabytes for c in row), default=0.0) / 1e3 for row in (ours, peers)]
    print(
        f"  peak memory, summed over models: ours {gigabytes[0]:.1f} GB, the peers' flows {gigabytes[1]:.1f} GB; "
        f"the largest: {largest[0]:.1f} and {largest[1]:.1f} GB"
    )
