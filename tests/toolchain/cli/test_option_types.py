"""Types of options: times with and without a unit, and lists of names with commas."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.errors import UsageError
from toolchain.cli import build
from toolchain.cli._option_types import NamesOption, Time, names_file, split_names


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5", 1.5), ("5m", 300), ("5 min", 300), ("1h", 3600), ("2500ms", 2.5), (7, 7)],
)
def test_a_time_is_read_with_or_without_its_unit(text, seconds):
    assert Time(1).convert(text, None, None) == pytest.approx(seconds)


def test_a_number_alone_has_the_types_own_unit():
    minutes = Time(0.01, "m")
    assert [minutes.convert(text, None, None) for text in ("30", "90s", "2h")] == [30, 1.5, 120]


@pytest.mark.parametrize("text", ["", "soon", "5 days", "-3", "nan", "inf", ".", "9" * 400])
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="is no time; write it like 90, 90s, 5m or 1h"):
        Time(1).convert(text, None, None)


def test_a_time_below_the_shortest_is_refused():
    with pytest.raises(click.BadParameter, match="'100ms' is too short; the shortest is 1s"):
        Time(1).convert("100ms", None, None)


@given(st.lists(st.lists(st.from_regex(r"[a-z0-9_-]+", fullmatch=True), min_size=1), max_size=4))
def test_commas_and_repetition_mean_the_same(groups):
    each = tuple(name for group in groups for name in group)
    assert split_names(",".join(group) for group in groups) == split_names(each) == each


@pytest.mark.parametrize("text", ["", "fp32,", ",int8", "fp32,,int8"])
def test_a_comma_without_a_name_is_refused(text):
    with pytest.raises(UsageError, match="names nothing before or after a comma"):
        split_names([text])


def test_a_files_name_may_have_a_comma(tmp_path):
    file = tmp_path / "a,b.toml"
    file.touch()
    assert split_names([str(file), "x,y"]) == (str(file), "x", "y")


def test_a_list_may_be_longer_than_a_files_name_can_be():
    names = tuple(f"device-{number}" for number in range(100))
    assert split_names([",".join(names)]) == names
    assert not names_file(",".join(names))


def test_every_repeatable_option_of_names_takes_a_list():
    takes_list = {param.name for param in build.command.params if isinstance(param, NamesOption)}
    written_otherwise = {"inputs", "outputs", "states", "budgets", "ranges"}  # with commas, or no names of ours
    assert takes_list == {param.name for param in build.command.params if param.multiple} - written_otherwise
    asked = ["m:make", "--precision", "fp32,int8", "--precision", "fp16", "--runtime", "onnxruntime,openvino"]
    params = build.command.make_context("build", [*asked, "--correction", "bias,smoothing"]).params
    assert params["precisions"] == ("fp32", "int8", "fp16")
    assert (params["runtimes"], params["corrections"]) == (("onnxruntime", "openvino"), ("bias", "smoothing"))
