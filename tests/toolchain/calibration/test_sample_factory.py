"""Samples that a user's function yields."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from hwbench.data import dataset
from runtimes.errors import UsageError
from runtimes.tensors import TensorSpec
from toolchain.calibration.sample_factory import as_npz

X = TensorSpec("x", "float32", ("N", 3))
BATCH_OF_2 = TensorSpec("x", "float32", (2, 3))


@pytest.fixture
def write(tmp_path):
    def make(body: str, head: str = "import numpy as np") -> Path:
        (tmp_path / "data.py").write_text(
            f"{head}\ndef samples():\n" + "\n".join(f"    {line}" for line in body.splitlines())
        )
        return Path(f"{tmp_path / 'data.py'}:samples")

    return make


def refused(source: Path, work: Path) -> str:
    with pytest.raises(UsageError) as caught:
        as_npz(source, work / "samples.npz")
    assert [file.name for file in work.iterdir() if file.name != "data.py" and not file.name.startswith("__")] == []
    return str(caught.value)


def test_a_file_stays_itself(tmp_path):
    assert as_npz(tmp_path / "none.npz", tmp_path / "samples.npz") == tmp_path / "none.npz"


def test_samples_without_a_batch_axis_become_the_arrays_that_an_npz_would_hold(write, tmp_path):
    source = write("for i in range(5):\n    yield {'x': np.full(3, i, np.float32), 'labels': i}")
    found = dataset.read(as_npz(source, tmp_path / "samples.npz"), [X], labels=True)
    np.testing.assert_array_equal(found.arrays["x"][:], np.arange(5, dtype=np.float32)[:, None].repeat(3, axis=1))
    assert found.labels is not None
    assert found.labels.tolist() == list(range(5))


def test_samples_with_a_batch_axis_are_whole_inferences(write, tmp_path):
    source = write("for i in range(5):\n    yield {'x': np.full((2, 3), i, np.float32)}")
    for spec in (X, BATCH_OF_2):
        assert dataset.read(as_npz(source, tmp_path / "samples.npz"), [spec]).arrays["x"].shape == (5, 2, 3)


def test_samples_of_mixed_sizes_are_read_as_they_were_yielded(write, tmp_path):
    source = write("for n in (2, 5, 1):\n    yield {'x': np.full((n, 3), n, np.float32), 'labels': np.arange(n)}")
    data = dataset.read(as_npz(source, tmp_path / "samples.npz"), [TensorSpec("x", "float32", ("N", "T", 3))])
    assert data.sizes == {"N": (1,), "T": (1, 2, 5)}
    for n, feeds, labels in zip((2, 5, 1), data.feeds(), data.labels):
        np.testing.assert_array_equal(feeds["x"], np.full((1, n, 3), n, np.float32))
        np.testing.assert_array_equal(labels, np.arange(n))


def test_a_folder_of_files_is_a_sample_each(tmp_path):
    folder = tmp_path / "samples"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"samples' holds no \.npz; give one per sample"):
        as_npz(folder, tmp_path / "out.npz")
    for index, n in enumerate((4, 2)):
        np.savez(folder / f"{index}.npz", x=np.full((n, 3), index, np.float32), labels=index)
    data = dataset.read(as_npz(folder, tmp_path / "out.npz"), [TensorSpec("x", "float32", ("N", "T", 3))], labels=True)
    assert [feeds["x"].shape for feeds in data.feeds()] == [(1, 4, 3), (1, 2, 3)]
    assert data.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": np.ones(3, np.float32)}, "'x' is float32 with 1 axes, and the first was float64 with 1"),
        ({"y": np.ones(3)}, "has y; the first had x"),
        ({"x": np.full(3, np.nan)}, "'x' holds NaN or infinity; remove it."),
        ({}, "holds no arrays; give one for each input."),
    ],
)
def test_a_file_that_is_no_sample_is_named(tmp_path, arrays, told):
    folder = tmp_path / "samples"
    folder.mkdir()
    np.savez(folder / "good.npz", x=np.ones(3))
    np.savez(folder / "other.npz", **arrays)
    with pytest.raises(UsageError) as caught:
        as_npz(folder, tmp_path / "out.npz")
    message = str(caught.value)
    assert message.startswith(f"'{folder / 'other.npz'}'")
    assert told in message
    assert "yield" not in message


def test_a_factory_finds_the_files_beside_it_while_it_runs(write, tmp_path):
    (tmp_path / "numbers_of_mine.py").write_text("N = 4")
    source = write("import numbers_of_mine\nfor i in range(numbers_of_mine.N):\n    yield {'x': np.ones(3)}")
    assert dataset.read(as_npz(source, tmp_path / "samples.npz"), [TensorSpec("x", "float64", ("N", 3))]).n == 4


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param("return []", "yielded no samples", id="nothing"),
        pytest.param("return 7", "returned a int; yield dicts of arrays", id="no-iterable"),
        pytest.param("yield [1, 2]", "sample 0 is a list; yield a dict of arrays by input name", id="no-dict"),
        pytest.param("yield {}", "sample 0 holds no arrays; give one for each input.", id="empty"),
        pytest.param("yield {'x': object()}", "sample 0: 'x' is no array of numbers", id="objects"),
        pytest.param("yield {'x': np.ones(3)}\nraise KeyError('more')", "raised KeyError: 'more', at ", id="raises"),
        pytest.param("raise SystemExit('stop')", "raised SystemExit: stop, at ", id="exits"),
        pytest.param("yield {'x': np.ones(3)}\nyield {'x': 1.0}", "sample 1: 'x' is float64 with 0 axes", id="axes"),
        pytest.param("yield {'x': [[1], [2, 3]]}", "sample 0 holds something else than arrays: setting", id="lists"),
        pytest.param("yield {'x': np.ones(3)}\nyield {'x': np.ones(3, 'f')}", "sample 1: 'x' is float32", id="dtype"),
        pytest.param("yield {'x': np.ones(3)}\nyield {'y': np.ones(3)}", "sample 1 has y; the first had x", id="names"),
        pytest.param(
            "yield {'x': np.ones(3)}\nyield {'x': np.array([1, np.nan, 1])}",
            "sample 1: 'x' holds NaN or infinity; remove it.",
            id="nan",
        ),
    ],
)
def test_what_is_no_sample_is_told(write, tmp_path, body, told):
    source = write(body)
    message = refused(source, tmp_path)
    assert told in message
    assert str(source) in message


def test_a_function_that_is_not_there_is_told(write, tmp_path):
    source = Path(str(write("yield 1")).replace(":samples", ":smaples"))
    assert (
        "has no function 'smaples'; give the samples as FILE.npz, a folder of .npz files, or FILE.py:FACTORY"
        in refused(source, tmp_path)
    )
    assert "There is no file" in refused(tmp_path / "none.py:make", tmp_path)


def test_what_does_not_fit_the_model_is_told_with_the_factorys_name(write, tmp_path):
    source = write(dedent("yield {'x': np.ones(3)}"))
    with pytest.raises(UsageError, match=r"data.py:samples': array 'x' is float64; the model takes float32"):
        dataset.read(as_npz(source, tmp_path / "samples.npz"), [X], called=str(source))
