"""Builds judged by parity, by default budgets, by a metric of the user's own, or by a metric of each output."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import tiny_models

from hwbench.budgets.budget import parse_all
from hwbench.results import profile_results
from runtimes.bundles.bundle import Bundle
from runtimes.errors import UsageError
from toolchain.pipeline.build import build

pytestmark = pytest.mark.usefixtures("one_process")


def entries(results):
    return {entry.precision: entry for entry in results.profiles[0].candidates}


def test_without_evaluation_it_is_judged_by_parity_and_says_so(digits_request):
    results = build(digits_request(evaluation=None, precisions=("fp32", "int8")))
    rows = entries(results)
    assert rows["fp32"].report.accuracy.metric == "parity"
    assert rows["fp32"].report.accuracy.value == 1.0
    assert 0.9 < rows["int8"].report.accuracy.value < 1.0
    assert any("closeness to the source on calibration samples" in c for c in results.profiles[0].caveats)


def test_without_any_samples_it_is_judged_on_random_inputs_and_says_so(digits_request):
    results = build(digits_request(evaluation=None, calibration=None, precisions=("fp16-storage",)))
    assert any("random inputs, which proves little" in caveat for caveat in results.profiles[0].caveats)
    with Bundle(results.profiles[0].bundle) as bundle:
        assert not bundle.manifest.distributions  # there is nothing real to compare with


def test_without_an_accuracy_budget_a_default_one_is_used_and_said(digits_request):
    results = build(digits_request(budgets=parse_all(["size<=1MB"])))
    assert [limit.text for limit in results.profiles[0].budgets] == ["size<=1MB", "accuracy_drop<=0.01"]
    assert any("accuracy_drop<=0.01 was used; give one with --budget" in c for c in results.profiles[0].caveats)
    assert [
        limit.text for limit in build(digits_request(budgets=parse_all(["accuracy>=0.1"]))).profiles[0].budgets
    ] == ["accuracy>=0.1"]


def test_a_metric_of_the_users_own(digits_request, tmp_path):
    (tmp_path / "metric.py").write_text(
        "import numpy as np\n"
        "def wrong(outputs, labels):\n"
        "    return float((next(iter(outputs.values())).argmax(1) != labels).mean())\n"
        "wrong.higher_is_better = False\n"
    )
    results = build(
        digits_request(metrics=(f"{tmp_path / 'metric.py'}:wrong",), budgets=parse_all(["accuracy_drop<=0.05"]))
    )
    scored = entries(results)["fp32"].report.accuracy
    assert (scored.metric, scored.higher_is_better) == ("wrong", False)
    assert scored.value < 0.15
    assert results.outcome == "pass"


@pytest.fixture
def two_heads(tmp_path):
    """An actor and a critic, and samples whose labels are the source's own answers, moved a little."""
    path = tiny_models.two_heads(tmp_path / "two_heads.onnx")
    state = np.random.default_rng(1).standard_normal((60, 8)).astype(np.float32)
    policy, value = ort.InferenceSession(path).run(None, {"state": state})
    labels = {"labels_policy": policy.argmax(1), "labels_value": value[:, 0] + 30}
    np.savez(tmp_path / "samples.npz", state=state, **labels)
    return path, tmp_path / "samples.npz"


def test_each_output_has_a_metric_labels_and_budgets_of_its_own(request_for, two_heads):
    path, data = two_heads
    asked = request_for(
        path,
        calibration=data,
        evaluation=data,
        precisions=("fp32", "int8"),
        metrics=("top1:policy", "mae:value", "mse:value"),
        budgets=parse_all(["accuracy>=0.5", "accuracy_drop[mae]<=1e-9"]),
    )
    results = build(asked)
    rows = entries(results)
    source = rows["fp32"].report.accuracy
    assert [one.metric for one in source.each] == ["top1:policy", "mae:value", "mse:value"]
    assert [one.value for one in source.each] == pytest.approx([1, 30, 900], rel=1e-5)
    outcomes = {verdict.budget.text: verdict.outcome for verdict in rows["int8"].verdicts}
    assert outcomes.pop("accuracy_drop[mae]<=1e-9") != "pass"  # only the critic's own budget is too tight for int8
    assert outcomes == {"accuracy>=0.5": "pass", "accuracy_drop[mse:value]<=1%": "pass"}
    assert rows["int8"].report.accuracy.of("policy").value > 0.8
    assert rows["fp32"].status == "selected"
    assert any(
        "accuracy_drop[mse:value]<=1%, a part of the source's mse:value (900" in c for c in results.profiles[0].caveats
    )
    with Bundle(results.profiles[0].bundle) as bundle:
        packed = profile_results.from_json(bundle.read("report.json"), "packed").profiles[0]
    assert packed.selected.report.accuracy == source


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ((), r"The evaluation samples hold labels_policy; name its metric, as in --metric top1:policy"),
        (("top1",), r"Metric 'top1' has no labels: .* have no array 'labels'; .* as NAME:OUTPUT"),
        (("top1:actor",), "scores the output 'actor'; the model has policy, value"),
    ],
)
def test_outputs_with_labels_of_their_own_need_their_metrics(request_for, two_heads, metrics, words):
    path, data = two_heads
    with pytest.raises(UsageError, match=words):
        build(request_for(path, evaluation=data, metrics=metrics))
