"""A source's limits are found, and bundles for both CPU runtimes refuse what the source refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import normal, parse

from hwbench.data import dataset
from hwbench.data.dataset import Dataset
from runtimes.backends import backend
from runtimes.bundles.input_limits import InputLimits
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import EdgewrightError, UsageError
from toolchain.builders import builder
from toolchain.candidates.source_limits import largest_sizes, source_limits, table_rows
from toolchain.models import ort_session
from toolchain.models.onnx_model import OnnxModel, open_model
from toolchain.recipes.recipe import Recipe

POSITIONS, WORDS, WIDTH = 12, 20, 4
SEEDS = st.integers(0, 99)

# Three ways to write a position table, of an input `ids` int64[N,T] whose length is `t`.
TABLES = {
    "a slice": "p = Slice(positions, zero, t, zero)",
    "an index": "last = Squeeze(t) r = Range(nought, last, one) p = Gather(positions, r)",
    "an index that begins at 2": "last = Squeeze(t) r = Range(nought, last, one) s = Add(r, two) p = Gather(later, s)",
}


def model_with(table: str, folder: Path) -> OnnxModel:
    """A model of word and position embeddings: ids int64[N,T] -> y float32[N,T,4]."""
    text = f"""t (int64[N,T] ids) => (float[N,T,{WIDTH}] y) {{
        shape = Shape(ids) t = Slice(shape, first, second) {table}
        wide = Cast<to=7>(ids) e = Gather(words, wide) y = Add(e, p)
    }}"""
    constants = {
        "words": normal(WORDS, WIDTH),
        "positions": normal(POSITIONS, WIDTH),
        "later": normal(POSITIONS + 2, WIDTH),
        "zero": np.array([0]),
        "first": np.array([1]),
        "second": np.array([2]),
        "nought": np.int64(0),
        "one": np.int64(1),
        "two": np.int64(2),
    }
    onnx.save(parse(text, constants), folder / "m.onnx")
    return open_model(folder / "m.onnx")


def inference(folder: Path, model: OnnxModel, length: int) -> Dataset:
    np.savez(folder / "ids.npz", ids=np.ones((1, length), np.int64))
    return dataset.read(folder / "ids.npz", model.inputs)


@pytest.mark.parametrize("length", [1, 5, POSITIONS])
@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_tables_are_found_from_any_length(tmp_path: Path, table: str, length: int) -> None:
    model = model_with(table, tmp_path)
    found = source_limits(model, inference(tmp_path, model, length))
    assert found == InputLimits({"T": POSITIONS}, {"ids": WORDS})


def test_what_samples_leave_empty_may_be_empty(tmp_path: Path) -> None:
    model = model_with(TABLES["an index"], tmp_path)
    samples = [inference(tmp_path, model, length) for length in (3, 0)]
    assert source_limits(model, samples[0], samples).may_be_empty == ("T",)


@pytest.fixture(scope="module", params=list(TABLES))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return model_with(TABLES[request.param], tmp_path_factory.mktemp("m"))


@pytest.fixture(scope="module", params=["onnxruntime", "openvino first", "openvino each"])
def session(request: pytest.FixtureRequest, model: OnnxModel, tmp_path_factory: pytest.TempPathFactory):
    runtime, _, static = request.param.partition(" ")
    pytest.importorskip(runtime)
    folder = tmp_path_factory.mktemp("built")
    settings = RuntimeSettings(1, {"static_shapes": static} if static else {})
    artifact = builder(runtime).build(model, Recipe("fp32"), settings, folder)
    artifact = dataclasses.replace(artifact, limits=source_limits(model, inference(folder, model, 3)))
    with backend(runtime).load(artifact, artifact.file.read_bytes()) as opened:
        yield opened


@settings(max_examples=15)
@given(shapes=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 2 * POSITIONS)), min_size=1, max_size=4), seed=SEEDS)
def test_each_size_is_computed_as_by_the_source_or_refused_as_by_it(
    session, model: OnnxModel, shapes, seed: int
) -> None:
    """OpenVINO returned the numbers of an earlier call, or ended the process, beyond a table (2026.4)."""
    rng, source = np.random.default_rng(seed), ort_session.session(model.path)
    for shape in shapes:
        ids = rng.integers(-WORDS, WORDS + rng.integers(0, 2), shape)
        if shape[1] > POSITIONS or ids.max() >= WORDS:
            with pytest.raises(UsageError):
                ort_session.run_sample(source, 0, {"ids": ids})
            with pytest.raises(EdgewrightError):
                session.run({"ids": ids})
        else:
            expected = ort_session.run_sample(source, 0, {"ids": ids})[0]
            np.testing.assert_allclose(session.run({"ids": ids})["y"], expected, atol=1e-6)


USUAL = {"P": 5, "T": 2, "M": 7}


@given(most=st.integers(8, 200), tied=st.booleans())
def test_lengths_that_share_a_table(most: int, tied: bool) -> None:
    """A cache of P, a step of T and perhaps a mask of M = P + T; P + T has a maximum."""
    lengths = ("P", "T", "M") if tied else ("P", "T")

    def takes(sizes):
        return sizes["P"] + sizes["T"] <= most and (not tied or sizes["M"] == sizes["P"] + sizes["T"])

    usual = {name: USUAL[name] for name in lengths}
    expected = {} if tied else {"P": most - 1, "T": most - 1}
    assert largest_sizes(usual, lengths, takes) == expected
    if tied:
        assert largest_sizes({"P": 5, "T": 1, "M": 6}, lengths, takes) == {"P": most - 1, "M": most}


@given(step=st.integers(2, 9), most=st.integers(20, 200))
def test_no_limit_is_made_up(step: int, most: int) -> None:
    """A stride accepts its multiples, and two lengths of one size only change together."""
    assert largest_sizes({"H": 2 * step}, "H", lambda sizes: sizes["H"] % step == 0) == {}
    assert largest_sizes({"H": 8, "L": 4}, "HL", lambda sizes: max(sizes.values()) < 4000 or None) == {}
    together = largest_sizes({"H": 4, "L": 4}, "HL", lambda sizes: sizes["H"] == sizes["L"] <= most)
    assert together == {"H": most, "L": most}


@pytest.mark.parametrize(
    ("nodes", "rows"),
    [
        ("y = Gather(words, ids)", {"ids": WORDS}),
        ("y = Gather<axis=-1>(words, ids)", {"ids": WIDTH}),
        ("s = Squeeze(ids, one) i = Cast<to=6>(s) y = Gather(words, i)", {"ids": WORDS}),
        ("a = Gather(words, ids) b = Gather<axis=1>(words, ids) y = Concat<axis=-1>(a, b)", {"ids": WIDTH}),
        ("i = Mod(ids, nine) y = Gather(words, i)", {}),
        ("y = Gather(ids, one)", {}),
    ],
)
def test_tables_that_ids_index_as_they_come(nodes: str, rows: dict[str, int]) -> None:
    text = f"t (int64[N,1] ids) => (float[] y) {{ {nodes} }}"
    constants = {"words": np.zeros((WORDS, WIDTH), np.float32), "one": np.array([1]), "nine": np.array([9])}
    assert table_rows(ir.from_proto(parse(text, constants))) == rows
