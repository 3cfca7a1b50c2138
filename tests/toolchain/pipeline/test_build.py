"""The main job, end to end: a trained model in, measured and packed bundles out."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import one_process
import pytest
import tiny_models

import runtimes
from hwbench.budgets.budget import parse_all
from hwbench.measurements.roofline import roofline
from hwbench.results import profile_results
from runtimes.bundles.bundle import Bundle
from runtimes.errors import UsageError
from runtimes.verification.golden import replay
from toolchain.pipeline.build import build
from toolchain.pipeline.request import BuildRequest
from toolchain.quantizers import precisions
from toolchain.sources.input_specs import parse_input

pytestmark = pytest.mark.usefixtures("one_process")  # the tests of the command line build in processes


def model_and_samples(tmp_path, name, n=12):
    path = getattr(tiny_models, name)(tmp_path / f"{name}.onnx")
    np.savez(tmp_path / "samples.npz", **tiny_models.samples(name, n))
    return path, tmp_path / "samples.npz"


def entries(results, index=0):
    return {entry.precision: entry for entry in results.profiles[index].candidates}


def leaf_files(folder) -> Iterator[str]:
    return (file.name for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Path of `whole`."""
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def whole(digits, device, out, short):
    """Every precision of the digits for the device that is here."""
    with pytest.MonkeyPatch.context() as patch:
        one_process.install(patch)
        return build(
            BuildRequest(
                str(digits.onnx),
                "digits",
                out,
                (device,),
                calibration=digits.calibration,
                evaluation=digits.evaluation,
                runtimes=("onnxruntime",),
                budgets=parse_all(["p90<=1s", "accuracy_drop<=0.05"]),
                sampling=short,
                exhaustive=True,
            )
        )


def test_every_candidate_is_a_row_and_one_is_chosen(whole, out, short):
    (found,) = whole.profiles
    assert [entry.precision for entry in found.candidates] == list(precisions())
    assert {entry.status for entry in found.candidates} <= {"selected", "eligible", "rejected", "not built"}
    assert [entry.status for entry in found.candidates].count("selected") == 1
    assert all(entry.reason for entry in found.candidates)
    assert not any("same kind" in caveat for caveat in found.caveats)
    rows = entries(whole)
    for precision in ("fp16", "bf16"):  # this device has no such arithmetic
        assert rows[precision].status == "not built"
        assert f"{precision}-storage" in rows[precision].reason
    for precision in ("fp32", "fp16-storage", "bf16-storage", "int8", "int8-dynamic"):
        report = rows[precision].report
        assert report.accuracy.metric == "top1"
        assert report.accuracy.value > 0.85
        assert report.accuracy.reference.value == rows["fp32"].report.accuracy.value
        assert len(report.latency.blocks) == 6
        assert all(len(block.samples_ns) >= short.min_runs for block in report.latency.blocks)
    sizes = {precision: rows[precision].report.artifact.size_bytes for precision in rows if rows[precision].report}
    assert sizes["int8"] < sizes["fp16-storage"] < sizes["fp32"]
    assert sizes["fp16-storage"] == pytest.approx(0.5 * sizes["fp32"], rel=0.15)
    assert whole.outcome == "pass"

    # 16 channels from a 3 x 3 window at 8 x 8, then 256 to 32 to 10, for one image
    operations = 2 * (16 * 9 * 64 + 256 * 32 + 32 * 10)
    for precision, computed in (("fp32", {"fp32"}), ("fp16-storage", {"fp32"}), ("int8", {"int8"})):
        report = rows[precision].report
        assert set(report.artifact.work.operations) == computed
        assert sum(report.artifact.work.operations.values()) == operations
        assert roofline(report).time_ms > 0
    assert rows["int8"].report.artifact.work.bytes < 0.5 * rows["fp32"].report.artifact.work.bytes

    # and what is in the folder is what was returned
    assert list(leaf_files(out)) == ["digits-bench.edge", "report.html", "report.json"]
    assert profile_results.from_json((out / "report.json").read_text(), "report.json") == whole
    assert found.bundle == out / "digits-bench.edge"


def test_the_bundle_computes_what_was_scored(whole, digits):
    (found,) = whole.profiles
    with Bundle(found.bundle) as bundle:
        assert all(result.error == 0 for result in replay(bundle))
        packed = profile_results.from_json(bundle.read("report.json"), "packed")
        assert packed.profiles[0].candidates == (found.selected,)
        assert bundle.manifest.artifact.precision == found.selected.precision
        assert bundle.manifest.artifact.work == found.selected.report.artifact.work is not None
        assert bundle.manifest.artifact.source_sha256 == found.selected.report.artifact.source_sha256
    with np.load(digits.evaluation) as data, runtimes.load(found.bundle) as session:
        (name,) = [spec.name for spec in session.outputs]
        right = [session.run({"image": image[None]})[name].argmax() for image in data["image"][:50]] == data["labels"][
            :50
        ]
    assert right.sum() == sum(found.selected.report.accuracy.scores[:50])


def test_the_bundle_records_what_calibration_saw(whole, digits):
    (found,) = whole.profiles
    with runtimes.load(found.bundle) as session, np.load(digits.calibration) as calibration:
        for image in calibration["image"][:20]:
            session.run({"image": image[None]})
        drift = {tensor.tensor: tensor for tensor in session.stats().drift}
    assert set(drift) == {"image", *(spec.name for spec in session.outputs)}
    assert drift["image"].saturated == 0


def test_a_profile_per_bundle_and_what_cannot_be_measured_here_is_inconclusive(
    digits_request, device, elsewhere, tmp_path
):
    results = build(digits_request(profiles=(device, elsewhere), budgets=parse_all(["p90<=1s", "accuracy_drop<=0.05"])))
    here, there = results.profiles
    assert (here.outcome, there.outcome, results.outcome) == ("pass", "inconclusive", "inconclusive")
    (entry,) = there.candidates
    assert entry.report.latency is None
    assert entry.report.accuracy.value > 0.85
    by_quantity = {verdict.budget.quantity: verdict for verdict in entry.verdicts}
    assert by_quantity["accuracy_drop"].outcome == "pass"
    assert by_quantity["p90"].outcome == "inconclusive"
    assert "Latency and memory were not measured: this machine" in by_quantity["p90"].reason
    assert any("edgewright gate BUNDLE" in caveat for caveat in there.caveats)
    assert not any("edgewright gate BUNDLE" in caveat for caveat in here.caveats)
    assert there.bundle == tmp_path / "out" / f"digits-{elsewhere.name}.edge"
    with Bundle(there.bundle) as bundle:
        assert bundle.manifest.profile == elsewhere
        with pytest.raises(runtimes.UnsupportedError, match=elsewhere.name):
            replay(bundle)
        assert all(result.passed for result in replay(bundle, any_machine=True))


def test_a_device_elsewhere_passes_where_nothing_depends_on_its_speed(digits_request, elsewhere):
    results = build(digits_request(profiles=(elsewhere,), budgets=parse_all(["accuracy_drop<=0.05", "size<=1MB"])))
    assert results.outcome == "pass"
    assert results.profiles[0].selected.reason.startswith("the smallest that meets the budgets; ")


def test_no_bundle_is_packed_where_every_candidate_breaks_a_budget(digits_request, tmp_path):
    results = build(digits_request(budgets=parse_all(["size<=1kB"])))
    assert results.outcome == "fail"
    assert results.profiles[0].selected is None
    assert list(leaf_files(tmp_path / "out")) == ["report.html", "report.json"]
    (entry,) = results.profiles[0].candidates
    assert (entry.status, entry.reason.startswith("size<=1kB: ")) == ("rejected", True)


def test_the_null_runtime_goes_the_whole_way(digits_request, device):
    asked = {"profiles": (device,), "runtimes": ("null",)}
    results = build(digits_request(**asked, budgets=parse_all(["p90<=1s", "accuracy>=0.01"])))
    assert results.outcome == "pass"
    assert results.profiles[0].selected.name == "fp32 (null)"
    with Bundle(results.profiles[0].bundle) as bundle:
        assert bundle.manifest.artifact.runtime == "null"
        assert all(result.passed for result in replay(bundle))


def test_a_wrong_candidate_is_never_chosen(digits_request, device):
    """The null runtime answers zero at once, and wrongly."""
    asked = {"profiles": (device,), "runtimes": ("onnxruntime", "null")}
    results = build(digits_request(**asked, budgets=parse_all(["accuracy_drop<=0.05"])))
    statuses = {entry.name: entry.status for entry in results.profiles[0].candidates}
    assert statuses == {"fp32 (onnxruntime)": "selected", "fp32 (null)": "rejected"}


def test_a_program_gives_the_same_as_its_onnx(digits_request, digits):
    asked = {"precisions": ("int8",), "budgets": parse_all(["accuracy_drop<=0.05"])}
    first = build(digits_request(**asked)).profiles[0]
    second = build(digits_request(digits.program, inputs=(parse_input("image=float32[N,1,8,8]"),), **asked)).profiles[0]
    assert first.selected.report.accuracy.scores == second.selected.report.accuracy.scores


def test_without_calibration_int8_is_skipped_with_the_reason(digits_request):
    results = build(digits_request(calibration=None, precisions=()))
    rows = entries(results)
    assert rows["int8"].status == "not built"
    assert rows["int8"].reason == "int8 needs samples to observe ranges on; give --calibration FILE.npz."
    assert rows["int8-dynamic"].report is not None


def test_a_model_that_is_quantized_already_is_packed_as_it_is(request_for, tmp_path):
    path, data = model_and_samples(tmp_path, "quantized")
    results = build(request_for(path, calibration=data, precisions=(), budgets=parse_all(["accuracy>=0.1"])))
    rows = entries(results)
    assert "fp32" not in rows
    assert rows["int8"].status == "selected"
    assert rows["int8"].report.artifact.precision == "int8"
    assert rows["int8"].report.accuracy.is_source
    assert any("The source is int8 already" in caveat for caveat in results.profiles[0].caveats)
    for precision in ("int8-dynamic", "fp16-storage", "bf16-storage"):
        assert rows[precision].status == "not built"
        assert rows[precision].reason == "The model is quantized already; it is packed as it is."


def test_a_defect_in_one_quantizer_is_a_row_and_costs_the_others_nothing(request_for, tmp_path, monkeypatch):
    def broken(*_):
        raise KeyError("weight")

    monkeypatch.setattr("toolchain.quantizers.bf16_storage.quantize", broken)
    path, data = model_and_samples(tmp_path, "conv")
    results = build(request_for(path, calibration=data, precisions=("fp32", "bf16-storage")))
    rows = entries(results)
    assert rows["fp32"].status == "selected"
    assert rows["bf16-storage"].status == "not built"
    assert rows["bf16-storage"].reason == "internal error, please report it: KeyError: 'weight'"


@pytest.mark.parametrize("name", ["external", "control_flow", "embedding"])
def test_takes_external_data_control_flow_and_integer_inputs(request_for, tmp_path, name):
    path, data = model_and_samples(tmp_path, name)
    wanted = ("fp32", "int8", "fp16-storage", "bf16-storage")
    results = build(request_for(path, calibration=data, precisions=wanted, budgets=parse_all(["accuracy>=0.5"])))
    rows = entries(results)
    assert {precision: row.status for precision, row in rows.items() if row.status == "not built"} == {}
    assert all(row.report.accuracy.value > 0.95 for row in rows.values())
    with Bundle(results.profiles[0].bundle) as bundle:
        assert all(result.passed for result in replay(bundle, any_machine=True))


@pytest.mark.parametrize("batch", [4, 8, 16])
def test_takes_a_batch_that_is_fixed(request_for, tmp_path, batch):
    _, data = model_and_samples(tmp_path, "fixed_batch", n=32)
    path = tiny_models.fixed_batch(tmp_path / "fixed_batch.onnx", batch)
    results = build(request_for(path, evaluation=data, budgets=parse_all(["accuracy>=0.5"])))
    assert entries(results)["fp32"].report.accuracy.n == 32
    with Bundle(results.profiles[0].bundle) as bundle:
        assert all(result.passed for result in replay(bundle, any_machine=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "nothing.onnx"}, r"There is no file 'nothing\.onnx'"),
        ({"precisions": ("fp61",)}, "Unknown precision 'fp61'"),
        ({"runtimes": ("tensorrt",)}, "has no runtime 'tensorrt'"),
        ({"metrics": ("top7",)}, "Unknown metric 'top7'; choose from auc, "),
    ],
)
def test_what_cannot_be_built_writes_nothing(digits_request, tmp_path, changes, words):
    with pytest.raises(UsageError, match=words):
        build(digits_request(**changes))
    assert list(leaf_files(tmp_path / "out")) == []


def test_a_source_that_onnx_runtime_cannot_run_writes_nothing(request_for, tmp_path):
    path = tiny_models.double(tmp_path / "m.onnx", body="y = NoSuchOperator(x)")
    with pytest.raises(UsageError, match=r"ONNX Runtime cannot load .*NoSuchOperator"):
        build(request_for(path))
    assert list(leaf_files(tmp_path / "out")) == []


def test_the_reports_raw_samples_are_kept(whole, out):
    data = json.loads((out / "report.json").read_text())
    assert data["schema_version"] == profile_results.SCHEMA_VERSION
    blocks = data["profiles"][0]["candidates"][0]["report"]["latency"]["blocks"]
    assert len(blocks) == 6
    assert all(isinstance(sample, int) and sample > 0 for block in blocks for sample in block["samples_ns"])


def test_the_search_looks_at_the_evaluation_data_for_finalists_alone(digits_request, device):
    asked = {"precisions": (), "budgets": parse_all(["accuracy_drop<=0.05"]), "exhaustive": False}
    (found,) = build(digits_request(profiles=(device,), runtimes=("onnxruntime", "null"), **asked)).profiles
    scored = [entry for entry in found.candidates if entry.report is not None]
    assert found.search.looks == len(scored) < len([e for e in found.candidates if e.status != "not built"])
    assert len(found.candidates) == len({entry.name for entry in found.candidates})
    assert found.search.tried == len([entry for entry in found.candidates if entry.screening or entry.report])
    assert found.selected.runtime == "onnxruntime"
    assert found.candidates[0].name == "fp32 (onnxruntime)"
    assert found.candidates[0].report is not None  # the source is always among them
    assert all(entry.reason for entry in found.candidates)
    assert all(entry.screening or entry.report for entry in found.candidates if entry.status == "rejected")
    assert sum(found.selected.layers.values()) == 3  # a Conv and two Gemms
