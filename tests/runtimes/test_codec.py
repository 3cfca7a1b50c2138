"""Dataclasses to plain data and back; what bad data is told."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import PLAIN, mutated

from runtimes.bundles.distribution import Distribution
from runtimes.bundles.manifest import Artifact, Golden, Manifest, Member, RuntimeSettings
from runtimes.codec import decode, encode
from runtimes.errors import UsageError
from runtimes.profile import Cpu, Gpu, HardwareProfile, Memory, QuantizationScheme
from runtimes.tensors import TensorSpec

TEXT = st.text(max_size=8)
TEXTS = st.dictionaries(TEXT, TEXT, max_size=3)
ABOVE_ZERO = st.floats(0, exclude_min=True, allow_infinity=False)
SPECS = st.lists(
    st.builds(TensorSpec, TEXT, TEXT, st.lists(st.integers(0, 2**40) | TEXT, max_size=4).map(tuple)),
    unique_by=lambda spec: spec.name,
    max_size=3,
).map(tuple)
PROFILES = st.builds(
    HardwareProfile,
    name=TEXT,
    title=TEXT,
    arch=st.sampled_from(["x86_64", "aarch64"]),
    threads=st.integers(1, 512),
    runtimes=st.just(("onnxruntime",)),
    precisions=st.just({"onnxruntime": ("fp32", "int8")}),
    quantization=st.dictionaries(
        st.just("onnxruntime"), st.builds(QuantizationScheme, symmetric=st.booleans()), max_size=1
    ),
    cpu=st.builds(Cpu, TEXT, st.none() | st.integers(1), st.none() | ABOVE_ZERO, st.lists(TEXT, max_size=3).map(tuple)),
    memory=st.builds(Memory, ABOVE_ZERO, ABOVE_ZERO),
    gpu=st.none() | st.builds(Gpu, TEXT, st.just("8.7"), st.integers(0), ABOVE_ZERO),
    sources=TEXTS,
)
ARTIFACTS = st.builds(
    Artifact,
    file=st.lists(st.from_regex(r"[a-z0-9_]{1,6}", fullmatch=True), min_size=1, max_size=3).map(lambda p: Path(*p)),
    runtime=TEXT,
    precision=TEXT,
    inputs=SPECS,
    outputs=SPECS,
    settings=st.builds(RuntimeSettings, st.integers(0, 1024), TEXTS),
    source_sha256=TEXT,
    size_bytes=st.integers(),
    tool_versions=TEXTS,
)
# NaN is no value that equals itself, and what recipes hold was written by the toolchain as JSON.
RECIPES = st.dictionaries(
    TEXT, PLAIN.filter(lambda value: value == value and "NaN" not in json.dumps(value)), max_size=3
)
DISTRIBUTIONS = st.lists(st.floats(-1e300, 1e300), min_size=3, max_size=5).map(
    lambda values: Distribution(min(values), max(values), tuple(sorted(values)[1:-1]), tuple(0.5 for _ in values[1:]))
)
MANIFESTS = st.builds(
    Manifest,
    schema_version=st.just(1),
    model=TEXT,
    profile=PROFILES,
    artifact=ARTIFACTS,
    golden=st.builds(Golden, st.integers(0, 100), st.floats(0, 1)),
    recipe=RECIPES,
    members=st.dictionaries(TEXT, st.builds(Member, TEXT, st.integers()), max_size=3),
    distributions=st.dictionaries(TEXT, DISTRIBUTIONS, max_size=2),
)


@given(MANIFESTS)
def test_a_manifest_survives_json(manifest: Manifest) -> None:
    text = json.dumps(encode(manifest))
    assert decode(Manifest, json.loads(text), "manifest.json") == manifest


@given(st.data())
def test_changed_data_is_decoded_or_refused_with_a_usage_error(data: st.DataObject) -> None:
    changed = data.draw(mutated(encode(data.draw(MANIFESTS))))
    with contextlib.suppress(UsageError):
        plain = encode(decode(Manifest, changed, "manifest.json"))
        # What is accepted is a manifest of the declared types: it can be written and read again.
        assert json.dumps(encode(decode(Manifest, plain, "again"))) == json.dumps(plain)


@given(PLAIN)
def test_any_plain_data_is_refused_as_a_manifest(data: Any) -> None:
    with pytest.raises(UsageError, match=r"^here: "):
        decode(Manifest, data, "here")


@given(st.data())
def test_every_key_without_a_default_is_required(data: st.DataObject) -> None:
    plain = encode(data.draw(MANIFESTS))
    key = data.draw(st.sampled_from(sorted(plain)))
    del plain[key]
    with pytest.raises(UsageError, match=f"key '{key}' is missing; expected"):
        decode(Manifest, plain, "manifest.json")


@dataclass(frozen=True)
class Inner:
    size: int
    ratio: float = 0.5

    def __post_init__(self) -> None:
        if self.size == 13:
            raise ValueError("has the size 13; expected luck")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    mode: Literal["fast", "small"] = "fast"
    on: bool = True
    dims: tuple[int | str, ...] = ()
    parts: Mapping[str, Inner] = field(default_factory=dict)
    path: Path | None = None


GOOD: dict[str, Any] = {"name": "n", "inner": {"size": 1}}


def test_defaults_fill_what_is_left_out() -> None:
    assert decode(Outer, GOOD, "f") == Outer("n", Inner(1))


def test_fields_that_are_none_are_left_out() -> None:
    assert "path" not in encode(Outer("n", Inner(1)))
    assert encode(Outer("n", Inner(1), path=Path("a", "b")))["path"] == "a/b"


def test_whole_numbers_are_numbers_too() -> None:
    ratio = decode(Outer, {"name": "n", "inner": {"size": 1, "ratio": 2}}, "f").inner.ratio
    assert (ratio, type(ratio)) == (2.0, float)


def test_none_is_the_absence_of_an_optional_value() -> None:
    assert decode(Outer, {**GOOD, "path": None}, "f").path is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": "x"}, "f: unknown key 'nmae'; expected one of name, inner, mode, on, dims, parts, path."),
        ({"inner": {}}, "f: key 'inner.size' is missing; expected an integer."),
        ({"inner": 3}, "f: 'inner' should be a table, got 3."),
        ({"inner": {"size": "1"}}, "f: 'inner.size' should be an integer, got '1'."),
        ({"inner": {"size": True}}, "f: 'inner.size' should be an integer, got True."),
        ({"inner": {"size": 1.0}}, "f: 'inner.size' should be an integer, got 1.0."),
        ({"inner": {"size": 1, "ratio": True}}, "f: 'inner.ratio' should be a number, got True."),
        ({"inner": {"size": 13}}, "f: 'inner' has the size 13; expected luck."),
        ({"name": None}, "f: 'name' should be a string, got None."),
        ({"mode": "slow"}, "f: 'mode' should be one of fast, small, got 'slow'."),
        ({"mode": []}, "f: 'mode' should be one of fast, small, got []."),
        ({"on": 1}, "f: 'on' should be true or false, got 1."),
        ({"dims": "N,3"}, "f: 'dims' should be a list, got 'N,3'."),
        ({"dims": [3, True]}, "f: 'dims[1]' should be an integer or a string, got True."),
        ({"parts": []}, "f: 'parts' should be a table, got []."),
        ({"parts": {"a": {"size": []}}}, "f: 'parts.a.size' should be an integer, got []."),
        ({"path": 5}, "f: 'path' should be a path, got 5."),
    ],
)
def test_errors_name_file_key_and_type(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        decode(Outer, {**GOOD, **change}, "f")
    assert str(error.value) == message


def test_a_number_that_no_float_holds_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'inner.ratio' should be a number below 1e308"):
        decode(Outer, {"name": "n", "inner": {"size": 1, "ratio": 10**400}}, "f")


def test_long_and_deep_values_are_shown_cut() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in ("x" * 10_000, deep, list(range(10_000))):
        with pytest.raises(UsageError) as error:
            decode(Outer, {"name": "n", "inner": value}, "f")
        assert len(str(error.value)) < 120
    while deep:  # freed level by level: a deep list's own destructor recurses
        deep = deep[0]


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_the_whole_must_be_a_table(data: Any) -> None:
    with pytest.raises(UsageError, match="f: expected a table, got"):
        decode(Outer, data, "f")
