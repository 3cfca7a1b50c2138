"""Samples that do not fit the model: one sentence, exit code 2, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
def test_missing_samples(refuses_build, option, tmp_path):
    refuses_build(option, tmp_path / "no.npz", words=(f"There is no file '{tmp_path / 'no.npz'}'",))


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no zip"], ids=["empty", "text", "zip"])
def test_samples_that_are_no_npz(refuses_build, option, tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    refuses_build(option, path, words=(f"'{path}' cannot be read as an .npz of plain arrays",))


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
def test_truncated_samples(refuses_build, option, tmp_path, npz):
    path = npz()
    path.write_bytes(path.read_bytes()[:-100])
    refuses_build(option, path, words=(f"'{path}' cannot be read as an .npz of plain arrays",))


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
def test_samples_that_hold_objects(refuses_build, option, npz):
    path = npz(image=np.array([{"a": 1}, None], dtype=object))
    refuses_build(option, path, words=(f"'{path}' cannot be read as an .npz of plain arrays", "allow_pickle"))


def test_samples_in_a_single_array(refuses_build, tmp_path):
    path = tmp_path / "data.npy"
    np.save(path, np.zeros((4, 1, 8, 8), np.float32))
    refuses_build(
        "--calibration", path, words=("is a single array; save it with np.savez, named after the model's in",)
    )


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
def test_samples_of_another_name(refuses_build, option, npz):
    path = npz(image=None, picture=np.zeros((4, 1, 8, 8), np.float32), labels=np.zeros(4, int))
    refuses_build(
        option, path, words=("has no array 'image'; the model takes image=float32[", "the file holds", "picture")
    )


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
@pytest.mark.parametrize("shape", [(20, 8, 8), (20, 3, 8, 8), (20, 1, 8, 9), (8,), ()])
def test_samples_of_another_shape(refuses_build, option, npz, shape):
    path = npz(image=np.zeros(shape, np.float32))
    words = ("array 'image' has shape", str(list(shape)), "the model takes image=float32[")
    refuses_build(option, path, words=words)


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
@pytest.mark.parametrize("dtype", ["float64", "uint8", "float16"])
def test_samples_of_another_dtype(refuses_build, option, npz, dtype):
    path = npz(image=np.zeros((20, 1, 8, 8), dtype))
    refuses_build(option, path, words=(f"array 'image' is {dtype}; the model takes float32",))


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite(refuses_build, option, npz, value):
    image = np.zeros((20, 1, 8, 8), np.float32)
    image[7, 0, 3, 3] = value
    refuses_build(option, npz(image=image), words=("sample 7 of 'image' holds NaN or infinity; remove it.",))


@pytest.mark.parametrize("option", ["--calibration", "--evaluation"])
def test_no_samples(refuses_build, option, npz):
    path = npz(image=np.zeros((0, 1, 8, 8), np.float32), labels=np.zeros(0, int))
    refuses_build(option, path, words=(f"'{path}' holds no samples",))


def test_an_empty_archive(refuses_build, npz):
    path = npz(image=None, labels=None)
    refuses_build("--calibration", path, words=("has no array 'image'", "the file holds nothing"))


def test_missing_labels(refuses_build, npz):
    words = ("has no array 'labels'; add one label per sample",)
    refuses_build("--evaluation", npz(labels=None), "--metric", "top1", words=words)


@pytest.mark.parametrize("labels", [np.zeros(19, int), np.array(3)])
def test_labels_of_another_number(refuses_build, npz, labels):
    words = ("holds 20 samples and labels of shape", str(list(labels.shape)))
    refuses_build("--evaluation", npz(labels=labels), words=words)


def test_inputs_that_disagree_about_the_number_of_samples(refuses_build, tmp_path):
    model = tiny_models.embedding(tmp_path / "net.onnx")
    arrays = tiny_models.samples("embedding", 6)
    np.savez(tmp_path / "c.npz", tokens=arrays["tokens"], mask=arrays["mask"][:4])
    words = ("different numbers of samples", "tokens has 6", "mask has 4")
    refuses_build("--calibration", tmp_path / "c.npz", source=model, words=words)


def test_samples_that_do_not_fill_a_fixed_batch(refuses_build, tmp_path):
    model = tiny_models.fixed_batch(tmp_path / "net.onnx")
    np.savez(tmp_path / "c.npz", **tiny_models.samples("fixed_batch", 6))
    words = ("batch is fixed at 4", "6 samples are not a multiple of 4")
    refuses_build("--calibration", tmp_path / "c.npz", source=model, words=words)


def test_an_integer_that_the_model_cannot_look_up(refuses_build, tmp_path):
    model = tiny_models.embedding(tmp_path / "net.onnx")
    arrays = tiny_models.samples("embedding", 6)
    np.savez(tmp_path / "c.npz", tokens=arrays["tokens"] + 1000, mask=arrays["mask"])
    refuses_build("--calibration", tmp_path / "c.npz", source=model, words=("'tokens' holds", "50 rows"))
