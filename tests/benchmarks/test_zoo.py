# ruff: noqa: E402 (the imports below need what is checked above them)
import json
import sys
from pathlib import Path

import numpy as np
import pytest

# benchmarks/ is not in the wheel.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
for package in ("PIL", "torch", "onnxruntime", "sklearn"):
    pytest.importorskip(package, reason=f"The model zoo needs the package '{package}'.")

from benchmarks.zoo import _fetch, _samples, _score, _wordpiece
from hwbench import metrics
from runtimes import plugins

NAMES = plugins.names("benchmarks.zoo")


def family(name):
    return plugins.load("benchmarks.zoo", name, "model")


def prepared(name):
    """The model, if an earlier `python -m benchmarks.zoo` left it in the cache: a test run downloads nothing."""
    if not (_fetch.cache_root() / family(name).FOLDER).is_dir():
        pytest.skip(f"The model is not in the cache; put it there with: python -m benchmarks.zoo {name}")
    return family(name).prepare()


@pytest.mark.parametrize("name", NAMES)
def test_scores_as_expected_in_fp32(name):
    model = prepared(name)
    score = _score.fp32(model)
    # A sample may fall on the other side of a threshold with another ONNX Runtime or processor.
    assert score.value == pytest.approx(model.expected_score, abs=max(1.5 / score.n, 0.002 * model.expected_score))


@pytest.mark.parametrize("name", NAMES)
def test_calibration_has_the_inputs_and_none_of_the_evaluation_samples(name):
    model = prepared(name)
    with np.load(model.calibration) as calibration, np.load(model.evaluation) as evaluation:
        assert sorted([*calibration.files, "labels"]) == sorted(evaluation.files)
        first = calibration.files[0]
        samples = {row.tobytes() for row in evaluation[first]}
        assert not any(row.tobytes() in samples for row in calibration[first])


def test_rebuilt_generator_gives_the_sample_that_its_makers_ship():
    prepared("esrgan")
    import torch
    from PIL import Image

    esrgan = family("esrgan")
    assets = _fetch.npm("@upscalerjs/esrgan-slim", "1.0.0") / "assets"
    small, large = (np.asarray(Image.open(assets / f).convert("RGB")) for f in ("fixture.png", "samples/2x/result.png"))
    with torch.inference_mode():
        made = esrgan.load()(torch.from_numpy(small.astype(np.float32).transpose(2, 0, 1)[None]))
    assert np.abs(made.clip(0, 255)[0].numpy().transpose(1, 2, 0) - large).max() < 0.51  # theirs is rounded


def test_factory_works_as_a_file_of_its_own(tmp_path):
    prepared("efficientnet")
    import importlib.util

    file = Path(family("efficientnet").__file__)
    spec = importlib.util.spec_from_file_location("alone", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not module.load().training


def test_labels_are_imagenet_classes():
    file = Path(family("efficientnet").__file__).parent / "data" / "tuxpaint_imagenet_labels.json"
    classes = json.loads(file.read_text())
    assert len(classes) == 72
    assert all(0 <= number < 1000 for numbers in classes.values() for number in numbers)


@pytest.mark.parametrize("name", [name for name in NAMES if hasattr(family(name), "score")])
def test_metric_loads_from_its_file(name):
    file = family(name).__file__
    assert metrics.load(f"{file}:score").higher_is_better is (name != "g2p")


def test_word_is_right_only_when_every_character_is():
    steps = np.eye(5)[[[0, 3, 3, 0, 3, 4], [3, 4, 4, 4, 0, 0], [1, 0, 0, 0, 0, 0]]]
    labels = np.array([[3, 3, 4], [3, 4, 0], [2, 0, 0]])
    assert family("ppocr").score({"y": steps}, labels).tolist() == [True, True, False]


def test_phoneme_errors_are_edits_up_to_the_end_mark():
    steps = np.eye(9)[[[5, 6, 7, 3, 8], [5, 7, 3, 3, 3], [5, 6, 7, 8, 8], [3, 5, 6, 7, 8]]]
    labels = np.array([[5, 6, 7, 0]] * 4)
    assert family("g2p").score({"y": steps}, labels).tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_peak_signal_to_noise_ratio_of_one_level():
    labels = np.full((1, 3, 2, 2), 100, dtype=np.uint8)
    score = family("esrgan").score({"y": labels.astype(np.float32) + 1}, labels)
    assert score.tolist() == pytest.approx([48.1308], abs=1e-3)


def test_speech_is_a_probability_over_a_half():
    outputs = {"output": np.array([[0.9], [0.2], [0.7]]), "stateN": np.zeros((3, 2, 1, 128))}
    assert family("silero").score(outputs, np.array([1, 1, 0])).tolist() == [True, False, False]


def test_face_is_the_maximum_of_the_heat_map():
    heat = np.zeros((4, 1, 2, 2))
    heat[[0, 2], 0, 1, 0] = 0.9, 0.8
    assert family("centerface").score({"537": heat}, np.array([1, 0, 1, 0])) == 1.0


def test_words_become_the_longest_known_pieces():
    vocabulary = {piece: number for number, piece in enumerate(["[CLS]", "[SEP]", "[UNK]", "un", "##do", "##ne", "!"])}
    assert _wordpiece.encode("Undône! xyz", vocabulary, 16) == [0, 3, 4, 5, 6, 2, 1]
    assert _wordpiece.encode("undone!", vocabulary, 4) == [0, 3, 4, 1]


def test_shared_samples_are_refused(tmp_path):
    arrays = {"x": np.zeros((2, 3)), "y": np.arange(2)}
    with pytest.raises(ValueError, match="share a sample"):
        _samples.write(tmp_path, {name: array[1:] for name, array in arrays.items()}, arrays, np.zeros(2))
    assert not list(tmp_path.iterdir())


def test_folder_is_filled_once(tmp_path):
    calls = []

    def make(folder):
        calls.append(folder)
        (folder / "file").write_text("x")

    for _ in range(2):
        assert (_fetch.once(tmp_path / "a" / "b", make) / "file").read_text() == "x"
    assert len(calls) == 1


def test_failure_leaves_nothing_behind(tmp_path):
    def make(folder):
        (folder / "half").write_text("x")
        raise _fetch.FetchError("no")

    with pytest.raises(_fetch.FetchError):
        _fetch.once(tmp_path / "a", make)
    assert not list(tmp_path.iterdir())


def test_missing_client_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(_fetch.FetchError, match="'npm' is not on this machine, and 'thing@1'"):
        _fetch.npm("thing", "1", tmp_path / "cache")
    with pytest.raises(_fetch.FetchError, match="'apt-get' is not on this machine"):
        _fetch.debian("thing", tmp_path / "cache")


def test_client_that_fails_is_quoted(tmp_path, monkeypatch):
    client = tmp_path / "apt-get"
    client.write_text("#!/bin/sh\necho 'E: Unable to locate package thing' >&2\necho 'try later' >&2\nexit 100\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(
        _fetch.FetchError, match=r"could not fetch 'thing'; it said: E: Unable to locate package thing$"
    ):
        _fetch.debian("thing", tmp_path / "cache")


def test_cache_is_the_argument_then_the_variable_then_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEWRIGHT_CACHE", str(tmp_path / "variable"))
    assert _fetch.cache_root(tmp_path / "argument") == tmp_path / "argument"
    assert _fetch.cache_root() == tmp_path / "variable"
    monkeypatch.delenv("EDGEWRIGHT_CACHE")
    assert _fetch.cache_root().name == "edgewright"
