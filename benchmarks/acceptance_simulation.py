"""Errors of the rule by which candidates are accepted, and of three simpler ones, on models whose loss is known.

    python -m benchmarks.acceptance_simulation | tee benchmarks/results/acceptance_simulation.txt

A candidate whose true loss is exactly the limit must not be accepted: the rule may do so with a probability of 5% at
most, since `build` asks for 0.95. Two kinds of candidates are put there.

    drawn       answers of the source and the candidate are drawn by given probabilities of a loss, a gain, and of two
                wrong answers that differ
    digits      a network that was trained on half of scikit-learn's digits, and a thousand others that have its weights
                in 4 to 7 bits, rounded at random; the population is the other half with noise. Where a network loses
                nothing, samples that it flips from wrong to right are drawn more seldom, so that it loses half of
                those that it flips from right to wrong.

The rules, all asked for 0.95, but for the last:

    ours        `hwbench.stats.paired_proportions`, as shipped, with samples without labels where there are any
    score       Tango's score test of the samples with labels, by the normal distribution
    bootstrap   percentiles of 2,000 resamples of the samples with labels
    before      the rule until now: Tango's interval of 95%, which is two-sided, so that 0.975 was asked

`power` is how often a candidate is accepted that has as many gains, and as many losses. A last table is of balanced
accuracy, which is no mean over samples, by the resamplings that such metrics get.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from hwbench.stats.paired_proportions import Flips, PairedProportions
from hwbench.stats.replicate_inference import Bootstrap, Jackknife
from hwbench.stats.resampling import Resampling, replicates
from runtimes.tensors import Array

DRAWS, MODELS = 4_000, 1_000
ASKED = 0.95
_POPULATION = 20_000
_NOISE = 2.0  # of 16 grey levels
_ROUNDED = (4, 5, 6, 7)  # bits of the candidates' weights


@dataclass(frozen=True)
class Outcome:
    """Answers of a source and a candidate: on samples with labels, and on samples without."""

    lost: int
    gained: int
    n: int
    changed: int
    m: int


Rule = Callable[[Outcome, float], bool]


def ours(seen: Outcome, limit: float) -> bool:
    """Accept by the shipped rule."""
    flips = Flips(seen.m, seen.changed) if seen.m else None
    return PairedProportions(seen.lost, seen.gained, seen.n, flips).at_most(limit) >= ASKED


def score(seen: Outcome, limit: float, asked: float = ASKED) -> bool:
    """Accept by Tango's score and the normal distribution."""
    quadratic = (2 * seen.n - seen.lost + seen.gained) * limit - seen.lost - seen.gained
    gain = (np.sqrt(quadratic**2 + 8 * seen.n * seen.gained * limit * (1 - limit)) - quadratic) / (4 * seen.n)
    deviation = np.sqrt(seen.n * (2 * gain + limit * (1 - limit)))
    return bool((seen.lost - seen.gained - seen.n * limit) / deviation <= stats.norm.ppf(1 - asked))


def before(seen: Outcome, limit: float) -> bool:
    """Accept by the two-sided interval of 95%."""
    return score(seen, limit, 0.975)


def bootstrap(seen: Outcome, limit: float) -> bool:
    """Accept by the percentile bootstrap of the differences."""
    shares = np.array([seen.lost, seen.gained, seen.n - seen.lost - seen.gained]) / seen.n
    drawn = np.random.default_rng(0).multinomial(seen.n, shares, 2_000)
    return bool(np.quantile((drawn[:, 0] - drawn[:, 1]) / seen.n, ASKED) <= limit)


RULES: dict[str, Rule] = {"ours": ours, "score": score, "bootstrap": bootstrap, "before": before}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--models", type=int, default=MODELS)
    options = parser.parse_args()
    start = time.monotonic()
    _print_drawn(options.draws)
    networks = _networks(options.models)
    _print_digits(networks)
    _print_one_number(networks[: options.models // 4])
    print(f"{time.monotonic() - start:.0f} s")


def _print_drawn(draws: int) -> None:
    half = 100 * 1.96 * np.sqrt(0.05 * 0.95 / draws)
    print(f"Drawn: {draws:,} models a row, +-{half:.1f} points at 5%. False acceptances at the limit, and power\n")
    heads = ("limit", "labelled", "without", "gains", "both wrong")
    print("".join(f"{head:>11}" for head in heads) + "".join(f"{name:>11}" for name in RULES) + f"{'power':>11}")
    for row, (limit, n, m, gain, wrong) in enumerate(_rows()):
        rng = np.random.default_rng((0, row))
        at_limit = _draw(rng, draws, n, m, gain + limit, gain, wrong)
        lossless = _draw(rng, draws, n, m, gain, gain, wrong)
        cells = [f"{limit:>11g}{n:>11,}{m:>11,}{gain:>11g}{wrong:>11g}"]
        cells += [f"{_share(rule, at_limit, limit):>11.1%}" for rule in RULES.values()]
        print("".join(cells) + f"{_share(ours, lossless, limit):>11.1%}", flush=True)
    print()


def _rows() -> list[tuple[float, int, int, float, float]]:
    found = [(0.01, n, 0, gain, 0.0) for n in (280, 300, 1_000, 5_000) for gain in (0.0, 0.005, 0.03)]
    found += [(0.01, 100, 2_000, gain, gain) for gain in (0.0, 0.001, 0.005)]
    found += [(0.01, n, 5_000, gain, gain / 2) for n in (400, 1_000) for gain in (0.0, 0.002, 0.02)]
    return [*found, (0.03, 100, 0, 0.01, 0.0), (0.001, 3_500, 0, 0.0, 0.0), (0.001, 1_000, 20_000, 0.0, 0.0)]


def _draw(
    rng: np.random.Generator, draws: int, n: int, m: int, lose: float, gain: float, wrong: float
) -> list[Outcome]:
    pairs = rng.multinomial(n, [lose, gain, 1 - lose - gain], draws)
    changed = rng.binomial(m, lose + gain + wrong, draws)
    return [Outcome(int(a), int(b), n, int(k), m) for (a, b, _), k in zip(pairs, changed)]


def _share(rule: Rule, seen: list[Outcome], limit: float) -> float:
    """Return the share of outcomes that a rule accepts; equal ones are judged once."""
    known = {outcome: rule(outcome, limit) for outcome in set(seen)}
    return float(np.mean([known[outcome] for outcome in seen]))


@dataclass(frozen=True)
class Network:
    """A network with rounded weights, on the population.

    Attributes:
        labels, source, own: the right class of each sample, the source's, and the network's.
        left: the share of the loss's variance that the source's own probabilities do not explain.
    """

    labels: Array
    source: Array
    own: Array
    left: float

    @property
    def loss(self) -> Array:
        """Loss of each sample: 1, 0 or -1."""
        return _loss(self.labels, self.source, self.own)

    @property
    def weight(self) -> Array:
        """Probability of each sample: equal, or smaller for gains, so that there is a loss in the mean."""
        lost, gained = int((self.loss > 0).sum()), int((self.loss < 0).sum())
        weight = np.where(self.loss < 0, min(1.0, lost / (2 * gained)) if gained else 1.0, 1.0)
        return weight / weight.sum()


def _print_digits(networks: Sequence[Network]) -> None:
    print(f"Digits: {len(networks):,} networks a row, each judged once, by a limit that is its own loss\n")
    heads = ("labelled", "without", "limits", "changed")
    print("".join(f"{head:>16}" for head in heads) + "".join(f"{name:>11}" for name in RULES))
    for n, m in ((100, 0), (100, 2_000), (300, 0), (300, 3_000), (1_000, 0), (1_000, 10_000)):
        rng, accepted, limits, changes = np.random.default_rng(0), [], [], []
        for network in networks:
            loss, weight, differs = network.loss, network.weight, network.source != network.own
            limit = float((weight * loss).sum())
            labelled = rng.choice(len(loss), n, p=weight)
            others = rng.choice(len(loss), m, p=weight)
            lost, gained = int((loss[labelled] > 0).sum()), int((loss[labelled] < 0).sum())
            seen = Outcome(lost, gained, n, int(differs[others].sum()), m)
            accepted.append([rule(seen, limit) for rule in RULES.values()])
            limits.append(limit)
            changes.append(float((weight * differs).sum()))
        spans = [f"{np.quantile(v, 0.05):.4f}-{np.quantile(v, 0.95):.3f}" for v in (limits, changes)]
        shares = "".join(f"{share:>11.1%}" for share in np.mean(accepted, axis=0))
        print(f"{n:>16,}{m:>16,}" + "".join(f"{span:>16}" for span in spans) + shares, flush=True)
    left = [network.left for network in networks]
    print(
        "\nOf the variance of the loss that the samples with labels show, a control variate (the source's probability "
        f"of\nits own class less that of the candidate's) would leave {np.median(left):.0%} in the median network, and "
        f"{np.quantile(left, 0.05):.0%} in the best of 20.\n"
    )


def _print_one_number(networks: Sequence[Network]) -> None:
    print(f"Balanced accuracy of {len(networks):,} of these networks a row, by a limit that is its own loss\n")
    plans: tuple[tuple[str, Resampling, int], ...] = (
        ("bootstrap of 500", "bootstrap", 500),
        ("jackknife of 10", "jackknife", 10),
        ("jackknife of 50", "jackknife", 50),
    )
    print(f"{'labelled':>16}" + "".join(f"{name:>20}" for name, _, _ in plans))
    for n in (100, 300, 1_000):
        rng, accepted = np.random.default_rng(1), []
        for network in networks:
            everything = np.arange(len(network.labels))
            limit = _drop(network, everything, network.weight)
            rows = rng.choice(everything, n, p=network.weight)
            accepted.append([_accepts(network, rows, limit, how, count) for _, how, count in plans])
        print(f"{n:>16,}" + "".join(f"{share:>20.1%}" for share in np.mean(accepted, axis=0)), flush=True)
    print()


def _accepts(network: Network, rows: Array, limit: float, how: Resampling, count: int) -> bool:
    drops = np.array(replicates(lambda some: _drop(network, rows[some]), len(rows), how, count))
    kind = Bootstrap if how == "bootstrap" else Jackknife
    return kind(_drop(network, rows), drops, len(rows)).at_most(limit) >= ASKED


def _drop(network: Network, rows: Array, weight: Array | None = None) -> float:
    """Compute the loss of balanced accuracy, the recall averaged over the classes that occur."""
    labels, weight = network.labels[rows], np.ones(len(rows)) if weight is None else weight
    of_class = np.bincount(labels, weight, 10)
    lost = np.bincount(labels, weight * network.loss[rows], 10)
    return float((lost[of_class > 0] / of_class[of_class > 0]).mean())


def _loss(labels: Array, source: Array, own: Array) -> Array:
    lost: Array = (source == labels).astype(np.int8) - (own == labels)
    return lost


def _networks(models: int) -> list[Network]:
    """Train a network, and round its weights in many ways."""
    bunch = load_digits()
    rng = np.random.default_rng(1)
    order = rng.permutation(len(bunch.target))
    train, rest = order[: len(order) // 2], order[len(order) // 2 :]
    trained = MLPClassifier((32,), alpha=1e-3, max_iter=300, random_state=0).fit(bunch.data[train], bunch.target[train])
    rows = rng.choice(rest, _POPULATION)
    images, labels = bunch.data[rows] + rng.normal(0, _NOISE, (_POPULATION, 64)), bunch.target[rows].astype(np.int8)
    source, probabilities = trained.predict(images).astype(np.int8), trained.predict_proba(images)
    weights, each = [np.array(layer) for layer in trained.coefs_], np.arange(_POPULATION)
    found: list[Network] = []
    while len(found) < models:
        bits = int(rng.choice(_ROUNDED))
        trained.coefs_ = [_rounded(layer, bits, rng) for layer in weights]
        own = trained.predict(images).astype(np.int8)
        loss = _loss(labels, source, own)
        if (loss > 0).any():
            expected = probabilities[each, source] - probabilities[each, own]
            found.append(Network(labels, source, own, 1 - float(np.corrcoef(loss, expected)[0, 1]) ** 2))
    return found


def _rounded(weights: Array, bits: int, rng: np.random.Generator) -> Array:
    """Round weights to a grid of `bits`, up or down at random with the nearer one more often."""
    step = np.abs(weights).max() / 2 ** (bits - 1)
    rounded: Array = np.floor(weights / step + rng.random(weights.shape)) * step
    return rounded


if __name__ == "__main__":
    main()
