"""edgewright.toml: what it may hold, where its paths lead, and that the command line goes before it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.errors import UsageError
from toolchain.cli._config_file import BuildConfig, merge, read

_words = st.text("ab/.:", min_size=1, max_size=6)
_lists = st.lists(_words, max_size=2).map(tuple)
_paths = st.none() | _words.map(Path)
_configs = st.builds(
    BuildConfig,
    source=st.none() | _words,
    input=_lists,
    calibration=_paths,
    evaluation=_paths,
    metric=st.none() | _words,
    profile=_lists,
    precision=_lists,
    runtime=_lists,
    budget=_lists,
    threads=st.none() | st.integers(min_value=1, max_value=8),
    name=st.none() | _words,
    out=_paths,
)


def written(folder: Path, text: str) -> Path:
    path = folder / "edgewright.toml"
    path.write_text(text)
    return path


def test_holds_every_option_under_its_long_name(tmp_path):
    text = """
    source = "package.module:make"
    input = ["image=float32[N,3,8,8]"]
    calibration = "c.npz"
    evaluation = "data/e.npz"
    metric = "top5"
    profile = ["rpi5", "t4"]
    precision = ["fp32"]
    runtime = ["onnxruntime"]
    budget = ["p90<=20ms", "size<=5MB"]
    threads = 2
    name = "net"
    out = "results"
    """
    assert read(written(tmp_path, text)) == BuildConfig(
        source="package.module:make",
        input=("image=float32[N,3,8,8]",),
        calibration=tmp_path / "c.npz",
        evaluation=tmp_path / "data" / "e.npz",
        metric="top5",
        profile=("rpi5", "t4"),
        precision=("fp32",),
        runtime=("onnxruntime",),
        budget=("p90<=20ms", "size<=5MB"),
        threads=2,
        name="net",
        out=tmp_path / "results",
    )


@pytest.mark.parametrize(
    ("key", "value", "file"),
    [
        ("source", "net.onnx", "net.onnx"),
        ("source", "net.py:make", "net.py"),
        ("metric", "scores.py:mine", "scores.py"),
        ("profile", "board.toml", "board.toml"),
    ],
)
def test_names_of_files_are_relative_to_the_files_folder(tmp_path, key, value, file):
    (tmp_path / file).touch()
    text = f"{key} = {[value] if key == 'profile' else repr(value)}".replace("'", '"')
    found = getattr(read(written(tmp_path, text)), key)
    assert found == ((str(tmp_path / value),) if key == "profile" else str(tmp_path / value))


def test_absolute_paths_stay(tmp_path):
    config = read(written(tmp_path, 'calibration = "/data/c.npz"\nout = "/results"'))
    assert (config.calibration, config.out) == (Path("/data/c.npz"), Path("/results"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profile = [", "cannot be read"),
        ("bugdet = []", r"edgewright\.toml: unknown key 'bugdet'; expected one of source, .*budget"),
        ("budget = 'p90<=1ms'", r"edgewright\.toml: 'budget' should be a list, got 'p90<=1ms'"),
        ("budget = [1]", r"'budget\[0\]' should be a string, got 1"),
        ("threads = 'two'", "'threads' should be an integer, got 'two'"),
        ("threads = true", "'threads' should be an integer, got True"),
    ],
)
def test_says_which_key_is_wrong_and_what_was_expected(tmp_path, text, words):
    with pytest.raises(UsageError, match=words):
        read(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file '.*edgewright\.toml'"):
        read(tmp_path / "edgewright.toml")


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "edgewright.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"edgewright\.toml' cannot be read"):
        read(tmp_path / "edgewright.toml")


@given(_configs, _configs)
def test_what_the_command_line_gives_goes_before_the_file(config, given_):
    merged = merge(config, given_)
    for field in dataclasses.fields(BuildConfig):
        ours, theirs = getattr(given_, field.name), getattr(config, field.name)
        assert getattr(merged, field.name) == (theirs if ours in (None, ()) else ours)


@given(_configs)
def test_nothing_given_changes_nothing(config):
    assert merge(config, BuildConfig()) == config
    assert merge(BuildConfig(), config) == config
