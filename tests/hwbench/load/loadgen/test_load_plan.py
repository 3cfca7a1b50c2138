"""Number of queries in a run of LoadGen, and plans that are refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.load.loadgen.load_plan import LoadPlan
from runtimes.codec import decode, encode
from runtimes.errors import UsageError
from runtimes.sampling.closed_loop import SamplingPlan

PLAN = SamplingPlan(min_runs=100, max_runs=1_000, duration_s=2.0, time_limit_s=10.0)


@pytest.mark.parametrize(
    ("each_s", "queries"),
    [
        pytest.param(0.01, 200, id="as many as the duration holds"),
        pytest.param(0.05, 100, id="the fewest that the plan wants, though that takes longer"),
        pytest.param(1.0, 10, id="until the time limit, though they are too few"),
        pytest.param(60.0, 1, id="one in any case"),
        pytest.param(1e-6, 1_000, id="at most so many"),
        pytest.param(0.0, 1_000, id="a clock that did not move"),
    ],
)
def test_queries_are_counted_beforehand_by_what_one_takes(each_s, queries):
    assert LoadPlan("server", PLAN, target_per_s=1.0).queries(each_s) == queries


@given(st.floats(1e-6, 1e3), st.integers(1, 1_000), st.integers(1, 5_000))
def test_a_run_never_outlasts_its_time_limit_by_more_than_a_query(each_s, least, most):
    plan = LoadPlan("offline", SamplingPlan(min_runs=least, max_runs=most, time_limit_s=10.0))
    queries = plan.queries(each_s)
    assert 1 <= queries <= max(least, most)
    assert queries == 1 or (queries - 1) * each_s <= 10.0 + each_s


def test_offline_has_inferences_for_each_worker():
    assert LoadPlan("offline", PLAN, workers=4).queries(0.02) == 400
    assert LoadPlan("server", PLAN, workers=4, target_per_s=1.0).queries(0.02) == 100
    assert LoadPlan("offline", PLAN, workers=4).queries(1.0) == 10  # the time limit's


def test_a_query_is_as_many_inferences_as_its_samples_take():
    query = LoadPlan("multi_stream", PLAN, samples=8)
    assert [query.inferences(each) for each in (1, 2, 8)] == [8, 4, 1]
    assert LoadPlan("offline", PLAN, samples=8).inferences(1) == 1


def test_a_plan_comes_through_json_as_it_was():
    plan = LoadPlan("server", PLAN, 1, 2, 123.4, 7)
    assert decode(LoadPlan, json.loads(json.dumps(encode(plan))), "plan") == plan


@pytest.mark.parametrize(
    "changes", [{"samples": 0}, {"workers": 0}, {"workers": 5_000}, {"seed": -1}, {"target_per_s": float("nan")}]
)
def test_a_plan_that_cannot_be_is_refused(changes):
    with pytest.raises(UsageError):
        LoadPlan("server", PLAN, **{"target_per_s": 1.0, **changes})
