"""Errors for files that cannot be used as samples."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from hwbench.data import dataset
from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec

X = TensorSpec("x", "float32", ("N", 3))
IDS = TensorSpec("ids", "int64", ("N", "T"))
BATCH_OF_4 = TensorSpec("x", "float32", (4, 3))
SCALAR = TensorSpec("t", "float32", ())


def ones(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.ones(shape, dtype)


@pytest.fixture
def save(tmp_path):
    def make(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return make


@pytest.mark.parametrize(
    ("specs", "arrays", "n"),
    [
        pytest.param([X], {"x": ones(5, 3)}, 5, id="samples-first"),
        pytest.param([X], {"x": ones(5, 1, 3)}, 5, id="an-extra-sample-axis"),
        pytest.param([X], {"x": ones(5, 7, 3)}, 5, id="an-extra-axis-over-batches"),
        pytest.param([X, IDS], {"x": ones(5, 3), "ids": ones(5, 9, dtype="int64")}, 5, id="two-inputs"),
        pytest.param([X, IDS], {"x": ones(5, 3), "ids": ones(5, 1, 9, dtype="int64")}, 5, id="two-ranks"),
        pytest.param([BATCH_OF_4], {"x": ones(8, 3)}, 8, id="a-fixed-batch-divides-the-samples"),
        pytest.param([BATCH_OF_4], {"x": ones(3, 4, 3)}, 3, id="a-fixed-batch-with-an-extra-axis"),
        pytest.param([SCALAR], {"t": ones(6)}, 6, id="a-scalar-input"),
    ],
)
def test_samples_that_fit_are_read(save, specs, arrays, n):
    path = save(**arrays, other=ones(2))
    found = dataset.read(path, specs)
    assert (found.file, found.n, found.labels) == (path, n, None)
    assert {name: array.shape for name, array in found.arrays.items()} == {k: v.shape for k, v in arrays.items()}


@pytest.mark.parametrize("labels", [np.arange(5), np.zeros((5, 2)), np.array(list("abcde"))])
def test_labels_are_read(save, labels):
    for wanted in (True, False):
        found = dataset.read(save(x=ones(5, 3), labels=labels), [X], labels=wanted)
        assert np.array_equal(found.labels, labels)
        assert "labels" not in found.arrays


def test_an_output_may_have_labels_of_its_own(save):
    found = dataset.read(save(x=ones(5, 3), labels=np.arange(5), labels_value=np.ones((5, 2))), [X], labels=True)
    assert np.array_equal(found.labels_for("value"), np.ones((5, 2)))
    assert np.array_equal(found.labels_for("other"), np.arange(5))
    assert np.array_equal(found.labels_for(None), np.arange(5))
    alone = dataset.read(save(x=ones(5, 3), labels_value=np.ones(5)), [X], labels=True)
    assert alone.labels_for("value") is not None
    assert alone.labels_for("other") is alone.labels_for(None) is None
    changed = dataset.read(save(x=ones(5, 3), labels_value=np.zeros(5)), [X])
    assert changed.sha256() != alone.sha256()
    assert "5 samples and labels_value of shape [4]" in refused(save(x=ones(5, 3), labels_value=np.ones(4)))


def test_an_input_may_be_called_labels_of_something(save):
    spec = TensorSpec("labels_mask", "float32", ("N",))
    found = dataset.read(save(labels_mask=ones(5)), [spec])
    assert (dict(found.labels_of), found.labels) == ({}, None)
    assert set(found.arrays) == {"labels_mask"}


def refused(path, specs=(X,), labels=False) -> str:
    with pytest.raises(UsageError) as caught:
        dataset.read(path, specs, labels=labels)
    return str(caught.value)


@pytest.mark.parametrize(
    ("specs", "arrays", "told"),
    [
        pytest.param(
            [X],
            {"y": ones(5, 3), "labels": ones(5)},
            ["no array 'x'", "takes x=float32[N,3]", "holds y, labels"],
            id="name",
        ),
        pytest.param([X], {}, ["no array 'x'", "the file holds nothing"], id="nothing"),
        pytest.param([X, IDS], {"x": ones(5, 3)}, ["no array 'ids'", "ids=int64[N,T]"], id="second-name"),
        pytest.param([X], {"x": ones(5, 3, dtype="float64")}, ["'x' is float64; the model takes float32"], id="dtype"),
        pytest.param([X], {"x": ones(5, 4)}, ["shape [5, 4]", "takes x=float32[N,3]", "the samples"], id="shape"),
        pytest.param([X], {"x": ones(3)}, ["shape [3]", "first axis must be the samples"], id="one-bare-sample"),
        pytest.param([X], {"x": ones(5, 1, 4)}, ["shape [5, 1, 4]"], id="shape-with-an-extra-axis"),
        pytest.param([X], {"x": ones(2, 5, 1, 3)}, ["shape [2, 5, 1, 3]"], id="two-extra-axes"),
        pytest.param([X], {"x": np.float32(1)}, ["shape []"], id="a-number"),
        pytest.param([BATCH_OF_4], {"x": ones(2, 5, 3)}, ["shape [2, 5, 3]"], id="another-batch"),
        pytest.param([BATCH_OF_4], {"x": ones(6, 3)}, ["fixed at 4", "6 samples"], id="a-batch-left-over"),
        pytest.param([SCALAR], {"t": np.float32(1)}, ["shape []"], id="a-scalar-without-samples"),
        pytest.param([X], {"x": ones(0, 3)}, ["holds no samples"], id="empty"),
        pytest.param(
            [X, IDS],
            {"x": ones(5, 3), "ids": ones(4, 9, dtype="int64")},
            ["different numbers", "x has 5", "ids has 4"],
            id="unequal-lengths",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_told_what_the_model_takes(save, specs, arrays, told):
    message = refused(save(**arrays), specs)
    assert [part for part in told if part not in message] == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_with_nan_or_infinity_is_named(save, bad):
    x = ones(5, 2, 3)
    x[3, 1, 2] = bad
    assert "sample 3 of 'x' holds NaN or infinity" in refused(save(x=x))


def test_labels_that_are_missing_or_not_as_many_are_told(save):
    assert "no array 'labels'; add one label per sample" in refused(save(x=ones(5, 3)), labels=True)
    for labels in (np.arange(4), np.arange(6), np.int64(3)):
        for wanted in (True, False):
            message = refused(save(x=ones(5, 3), labels=labels), labels=wanted)
            assert f"5 samples and labels of shape {list(labels.shape)}" in message


def test_no_file_is_told(tmp_path):
    assert refused(tmp_path / "none.npz") == f"There is no file '{tmp_path / 'none.npz'}'."


def test_a_single_array_is_told_how_to_save_it(tmp_path):
    np.save(tmp_path / "x.npy", ones(5, 3))
    assert "is a single array; save it with np.savez" in refused(tmp_path / "x.npy")


def _npy(header: bytes) -> bytes:
    return np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header


def _write_zip(path, name, data):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, data)


def _write_damaged(path):
    np.savez_compressed(path, x=np.arange(3000, dtype=np.float32).reshape(1000, 3))
    data = bytearray(path.read_bytes())
    data[60:200] = bytes(140)
    path.write_bytes(data)


def _write_flipped(path):
    np.savez(path, x=ones(100, 3))
    data = bytearray(path.read_bytes())
    data[400] ^= 1
    path.write_bytes(data)


def _write_cut(path):
    np.savez(path, x=ones(100, 3))
    path.write_bytes(path.read_bytes()[:300])


HUGE = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000, 3), }\n"


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_text("hello"), id="text"),
        pytest.param(lambda path: path.mkdir(), id="folder"),
        pytest.param(lambda path: np.savez(path, x=np.array([{}, {}], dtype=object)), id="pickled"),
        pytest.param(_write_cut, id="cut"),
        pytest.param(_write_flipped, id="a-flipped-bit"),
        pytest.param(_write_damaged, id="damaged-and-compressed"),
        pytest.param(lambda path: _write_zip(path, "x.npy", _npy(HUGE)), id="claims-petabytes"),
        pytest.param(lambda path: _write_zip(path, "x.npy", _npy(b"{'descr': '<f4', 'fort(((\n")), id="bad-header"),
    ],
)
def test_what_is_no_npz_of_plain_arrays_is_told_so(tmp_path, write):
    path = tmp_path / "data.npz"
    write(path)
    assert refused(path).startswith(f"'{path}' cannot be read as an .npz of plain arrays: ")


def test_a_zip_of_other_things_is_told_what_is_no_array(tmp_path):
    path = tmp_path / "data.npz"
    _write_zip(path, "x", "hello")
    assert "'x', which is not an array" in refused(path)


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "data.npz"
    np.savez(path, x=np.array([Bomb()], dtype=object))
    refused(path)
    assert not (tmp_path / "ran").exists()


STATE = TensorSpec("past", "float32", ("N", "P", 3))
STATES = {"past": "present"}


@pytest.mark.parametrize(
    ("arrays", "sizes"),
    [
        pytest.param({"ids": ones(5, 4, 9, dtype="int64")}, {"N": (1,), "T": (9,)}, id="steps-are-the-second-axis"),
        pytest.param({"ids": ones(5, 4, 2, 9, dtype="int64")}, {"N": (2,), "T": (9,)}, id="with-a-batch"),
        pytest.param(
            {"ids": ones(5, 4, 9, dtype="int64"), "past": ones(5, 6, 3)}, {"N": (1,), "T": (9,)}, id="an-initial-state"
        ),
        pytest.param(
            {"ids": ones(2, 4, 9, dtype="int64"), "ids.shape": np.array([(4, 9), (1, 7)])},
            {"N": (1,), "T": (7, 9)},
            id="mixed-lengths",
        ),
    ],
)
def test_sequences_of_a_model_with_states_are_read(save, arrays, sizes):
    found = dataset.read(save(**arrays), [IDS, STATE], states=STATES)
    assert (found.n, found.batch_size, found.sizes) == (len(arrays["ids"]), 1, sizes)
    lengths = arrays["ids.shape"][:, 0].tolist() if "ids.shape" in arrays else [4] * found.n
    assert [len(sequence.feeds) for sequence in found.sequences()] == lengths
    assert len(found.first(9, 4)) == 1  # a first sequence counts however long it is
    assert len(found.first(9, 10**6)) == found.n


def test_labels_are_one_per_sequence(save):
    path = save(ids=ones(5, 4, 9, dtype="int64"), labels=np.zeros((5, 4)))
    assert dataset.read(path, [IDS, STATE], labels=True, states=STATES).labels.shape == (5, 4)
