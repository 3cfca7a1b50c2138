"""Default accuracy budgets: one for each metric that no budget limits, in a unit that means something."""

from __future__ import annotations

from hwbench.budgets.budget import parse_all
from hwbench.budgets.default_limits import with_defaults
from hwbench.measurements.accuracy import Accuracy, joined

TOP1 = Accuracy("top1", True, 4, 0.75, scores=(1.0, 1.0, 1.0, 0.0), proportion=True)
MAE = Accuracy("mae", False, 2, 49.8, scores=(49.7, 49.9))


def defaults(budgets, source):
    found, notes = with_defaults(parse_all(budgets), source)
    assert all(budget.is_default for budget in found[len(budgets) :])
    return [budget.text for budget in found[len(budgets) :]], notes


def test_a_share_may_lose_a_point_and_another_metric_a_hundredth_of_the_sources_value():
    texts, (note,) = defaults(["p90<=1ms"], TOP1)
    assert texts == ["accuracy_drop<=0.01"]
    assert note == "No budget limits the accuracy, so accuracy_drop<=0.01 was used; give one with --budget."
    texts, (note,) = defaults([], MAE)
    assert texts == ["accuracy_drop<=1%"]
    assert "accuracy_drop<=1%, a part of the source's mae (49.8), was used" in note


def test_a_limit_on_either_side_replaces_the_default():
    assert defaults(["accuracy<=50"], MAE) == ([], ())
    assert defaults(["accuracy_drop<=0.1"], MAE) == ([], ())


def test_each_metric_without_a_budget_has_a_default():
    assert defaults([], joined([TOP1, MAE]))[0] == ["accuracy_drop[top1]<=0.01", "accuracy_drop[mae]<=1%"]
    texts, (note,) = defaults(["accuracy_drop[mae]<=2%"], joined([TOP1, MAE]))
    assert texts == ["accuracy_drop[top1]<=0.01"]
    assert note.startswith("No budget limits top1, so ")
    assert defaults(["accuracy_drop<=0.02", "accuracy[mae]<=50"], joined([TOP1, MAE])) == ([], ())
