"""Scores of candidates, with labels, without, and with nothing at all."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models

from hwbench.data import dataset
from runtimes.errors import UsageError
from toolchain.candidates.scoring import choose_scorer, metrics_of
from toolchain.models.onnx_model import open_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return open_model(tiny_models.conv(tmp_path_factory.mktemp("trial") / "m.onnx"))


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "evaluation.npz"
    np.savez(path, **tiny_models.samples("conv", 6), labels=np.arange(6) % 5)
    return path


@pytest.fixture
def unlabelled(tmp_path):
    path = tmp_path / "unlabelled.npz"
    np.savez(path, **tiny_models.samples("conv", 6))
    return path


def plan(model, evaluation, calibration, metric, work):
    wanted = metrics_of(evaluation, [metric] if metric else [])
    return _scorer(model, evaluation, calibration, wanted, work)


def _scorer(model, evaluation, calibration, wanted, work):
    labelled = wanted[0].name != "parity"
    data = dataset.read(evaluation, model.inputs, labels=labelled) if evaluation else None
    return choose_scorer(model, data, calibration, wanted, work)


def scores(labels):
    return {"scores": np.eye(5, dtype=np.float32)[labels]}


def test_labels_are_judged_by_top1(model, labelled, tmp_path):
    scorer = plan(model, labelled, None, None, tmp_path)
    assert (scorer.names, scorer.note) == (("top1",), None)
    scorer = scorer.with_reference(scores(np.arange(6) % 5))
    assert scorer.reference.value == 1.0
    worse = scorer.score(scores(np.zeros(6, int)))
    assert worse.value == pytest.approx(2 / 6)
    assert worse.drop().value == pytest.approx(4 / 6)


def test_another_metric_goes_before_top1(model, labelled, tmp_path):
    assert plan(model, labelled, None, "top5", tmp_path).names == ("top5",)


def test_labels_are_not_used_where_parity_is_asked_for(model, labelled, tmp_path):
    scorer = plan(model, labelled, None, "parity", tmp_path)
    assert scorer.names == ("parity",)
    assert "closeness to the source's outputs" in scorer.note


def test_without_labels_the_source_is_the_reference(model, unlabelled, tmp_path):
    scorer = plan(model, unlabelled, None, None, tmp_path)
    assert scorer.names == ("parity",)
    outputs = {"scores": np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)}
    scorer = scorer.with_reference(outputs)
    assert scorer.score(outputs).value == 1.0
    assert scorer.score({"scores": outputs["scores"] * 1.1}).value == pytest.approx(0.9)


def test_calibration_samples_stand_in_for_evaluation(model, unlabelled, tmp_path):
    calibration = dataset.read(unlabelled, model.inputs)
    scorer = plan(model, None, calibration, None, tmp_path)
    assert scorer.samples is calibration
    assert "on calibration samples" in scorer.note


def test_without_any_samples_random_ones_prove_little(model, tmp_path):
    scorer = plan(model, None, None, None, tmp_path)
    assert scorer.samples.n == 64
    assert scorer.note.endswith("on random inputs, which proves little; latency is of random inputs, too.")


def test_sizes_that_nobody_gave_are_named(tmp_path):
    model = open_model(tiny_models.double(tmp_path / "m.onnx", inputs="float[N,T] x"))
    note = plan(model, None, None, None, tmp_path).note
    assert note.endswith("latency is of random inputs, too, at default sizes: x=float32[N,T] as [8] per sample.")


def test_random_samples_can_be_named_as_savez_names_its_own_argument(tmp_path):
    model = open_model(tiny_models.double(tmp_path / "m.onnx", inputs="float[N,2] x, float[N,2] file"))
    assert set(plan(model, None, None, None, tmp_path).samples.arrays) == {"x", "file"}


def test_a_metric_needs_labels(model, unlabelled, tmp_path):
    with pytest.raises(UsageError, match=r"has no array 'labels'; add one label per sample"):
        plan(model, unlabelled, None, "top1", tmp_path)
    with pytest.raises(UsageError, match=r"The metric top1 needs labelled samples; give --evaluation FILE\.npz"):
        plan(model, None, dataset.read(unlabelled, model.inputs), "top1", tmp_path)


def test_several_metrics_are_scored_on_the_same_outputs(model, labelled, tmp_path):
    scorer = _scorer(model, labelled, None, metrics_of(labelled, ["top1", "f1@0", "top5:scores"]), tmp_path)
    scorer = scorer.with_reference(scores(np.arange(6) % 5))
    worse = scorer.score(scores(np.zeros(6, int)))
    assert [one.metric for one in worse.each] == ["top1", "f1@0", "top5:scores"]
    assert [one.drop().value for one in worse.each] == pytest.approx([4 / 6, 1 / 2, 0])
    assert all(one.data_sha256 == worse.data_sha256 for one in worse.each)
    assert [(one.is_source, one.drop().value) for one in scorer.source().each] == [(True, 0)] * 3


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["top1", "top1"], "The metric 'top1' is given twice"),
        (["parity", "top1"], "The metric parity takes no labels"),
        (["top1:logits"], "The metric 'top1:logits' scores the output 'logits'; the model has scores"),
    ],
)
def test_metrics_that_do_not_fit_the_model_or_one_another_are_refused(model, labelled, tmp_path, names, words):
    with pytest.raises(UsageError, match=words):
        _scorer(model, labelled, None, metrics_of(labelled, names), tmp_path)


@pytest.mark.parametrize("damage", ["missing", "truncated", "text"])
def test_a_file_that_cannot_be_read_is_named(model, labelled, tmp_path, damage):
    path = tmp_path / "damaged.npz"
    if damage == "truncated":
        path.write_bytes(labelled.read_bytes()[:200])
    elif damage == "text":
        path.write_text("not an npz")
    with pytest.raises(UsageError, match=r"damaged\.npz'"):
        plan(model, path, None, None, tmp_path)
