"""edgewright.toml: what it may hold, where its paths lead, and that the command line goes before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.core import ParameterSource

from runtimes.errors import UsageError
from toolchain.cli._config_file import read
from toolchain.cli.build import command


@pytest.fixture
def params(tmp_path):
    """Writes an edgewright.toml beside a model and data, and gives what `edgewright build` then is asked."""
    for name in ("net.onnx", "net.py", "c.npz", "e.npz", "u.npz", "other.npz", "t.json", "scores.py"):
        (tmp_path / name).touch()

    def parse(text: str, *arguments: str, source: str | None = 'source = "net.onnx"') -> dict[str, object]:
        path = tmp_path / "edgewright.toml"
        path.write_text(f"{source or ''}\n{text}")
        return command.make_context("build", [str(path), *arguments]).params

    return parse


def test_holds_every_option_under_its_long_name(params, tmp_path):
    text = """
    input = ["image=float32[N,3,8,8]"]
    output = ["scores"]
    output-rows = 100
    state = ["after=before"]
    calibration = "c.npz"
    calibration-table = "t.json"
    evaluation = "e.npz"
    unlabelled = "u.npz"
    metric = ["top5"]
    profile = ["rpi5", "t4"]
    precision = ["fp32"]
    runtime = ["onnxruntime"]
    correction = ["bias"]
    budget = ["p90<=20ms", "size<=5MB"]
    confidence = 0.9
    threads = 2
    duration = 0.5
    time-limit = 30
    exhaustive = true
    fresh = false
    name = "net"
    out = "results"
    target = "ssh://pi@board"
    range = ["N=1:2:4"]
    plan = false
    format = "json"
    verbose = true
    """
    found = params(text)
    assert {p.opts[-1].lstrip("-") for p in command.params} - {"source", "trust-source"} == {
        line.split()[0] for line in text.splitlines() if line.strip()
    }
    assert (found["unlabelled"], found["confidence"]) == (tmp_path / "u.npz", 0.9)
    assert [str(spec) for spec in found["inputs"]] == ["image=float32[N,3,8,8]"]
    assert [budget.text for budget in found["budgets"]] == ["p90<=20ms", "size<=5MB"]
    assert [profile.name for profile in found["profiles"]] == ["rpi5", "t4"]
    expected = {
        "source": str(tmp_path / "net.onnx"),
        "calibration": tmp_path / "c.npz",
        "calibration_table": tmp_path / "t.json",
        "outputs": ("scores",),
        "output_rows": 100,
        "evaluation": tmp_path / "e.npz",
        "metrics": ("top5",),
        "precisions": ("fp32",),
        "runtimes": ("onnxruntime",),
        "corrections": ("bias",),
        "threads": 2,
        "duration": 0.5,
        "time_limit_s": 30,
        "exhaustive": True,
        "fresh": False,
        "name": "net",
        "out": tmp_path / "results",
        "ranges": ({"N": (1, 2, 4)},),
        "target": "ssh://pi@board",
        "verbose": True,
        "plan": False,
        "form": "json",
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("key", "value"), [("source", "net.onnx"), ("source", "net.py:make"), ("metrics", "scores.py:mine")]
)
def test_names_of_files_are_relative_to_the_files_folder(params, tmp_path, key, value):
    found = params("", source=f'source = "{value}"') if key == "source" else params(f'metric = "{value}"')
    assert found[key] == (str(tmp_path / value) if key == "source" else (str(tmp_path / value),))


def test_a_profiles_file_is_relative_to_the_files_folder(params, tmp_path, device_file):
    (tmp_path / "bench.toml").write_text(device_file.read_text())
    assert [profile.name for profile in params('profile = ["bench.toml"]')["profiles"]] == ["bench"]


def test_names_that_are_no_files_stay(params):
    found = params('metric = "top1"\nevaluation = "e.npz"', source='source = "package.module:make"')
    assert (found["source"], found["metrics"]) == ("package.module:make", ("top1",))


@pytest.mark.parametrize("written", ['"rpi5,bench.toml"', '["rpi5, bench.toml"]', '["rpi5", "bench.toml"]'])
def test_names_may_be_one_text_with_commas(params, tmp_path, device_file, written):
    (tmp_path / "bench.toml").write_text(device_file.read_text())
    assert [profile.name for profile in params(f"profile = {written}")["profiles"]] == ["rpi5", "bench"]


def test_a_time_may_have_a_unit(params):
    assert params('time-limit = "5m"')["time_limit_s"] == 300


def test_absolute_paths_stay(params, tmp_path):
    found = params(f'calibration = "{tmp_path / "c.npz"}"\nout = "/results"')
    assert (found["calibration"], found["out"]) == (tmp_path / "c.npz", Path("/results"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profile = [", "cannot be read"),
        ("bugdet = []", r"edgewright\.toml: unknown key 'bugdet'; expected one of source, .*budget"),
        ("budget = 'p90<=1ms'", r"edgewright\.toml: 'budget' should be a list, got 'p90<=1ms'"),
        ("runtime = 5", r"edgewright\.toml: 'runtime' should be a list, got 5"),
        ("precision = 'fp32,'", r"edgewright\.toml: 'precision': 'fp32,' names nothing"),
        ("time-limit = 'soon'", r"edgewright\.toml: 'time-limit': 'soon' is no time; write it like 90"),
        ("threads = [1]", r"edgewright\.toml: 'threads' should be one value, got \[1\]"),
        ("out = {a = 1}", r"edgewright\.toml: 'out' should be text or a number"),
        ("threads = 'two'", r"edgewright\.toml: 'threads': 'two' is not a valid integer"),
        ("threads = true", r"edgewright\.toml: 'threads': 'True' is not a valid integer"),
        ("threads = 2.5", r"edgewright\.toml: 'threads': '2\.5' is not a valid integer"),
        ("fresh = 1", r"edgewright\.toml: 'fresh' should be true or false, got 1"),
    ],
)
def test_says_which_key_is_wrong_and_what_was_expected(params, text, words):
    with pytest.raises(UsageError, match=words):
        params(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file '.*edgewright\.toml'"):
        command.make_context("build", [str(tmp_path / "edgewright.toml")])


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "edgewright.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"edgewright\.toml' cannot be read"):
        command.make_context("build", [str(tmp_path / "edgewright.toml")])


def test_what_the_command_line_gives_goes_before_the_file(params):
    text = 'budget = ["p90<=20ms"]\nthreads = 2\nname = "file"\nduration = 1\nfresh = true\nprofile = ["nonsense"]'
    given = ("--budget", "size<=1MB", "--threads", "3", "--name", "given", "--profile", "rpi5")
    found = params(text, *given)
    assert [budget.text for budget in found["budgets"]] == ["size<=1MB"]
    assert [profile.name for profile in found["profiles"]] == ["rpi5"]
    assert (found["threads"], found["name"], found["duration"], found["fresh"]) == (3, "given", 1, True)


def test_what_neither_gives_is_the_options_own_default(params):
    found, without = params(""), command.make_context("build", ["package.module:make"]).params
    same = set(found) - {"source", "name"}
    assert {name: found[name] for name in same} == {name: without[name] for name in same}


def test_says_to_click_where_a_value_is_from(tmp_path):
    (tmp_path / "edgewright.toml").write_text('source = "m:make"\nthreads = 2')
    ctx = command.make_context("build", [str(tmp_path / "edgewright.toml")])
    assert ctx.get_parameter_source("threads") is ParameterSource.DEFAULT_MAP
    assert read(tmp_path / "edgewright.toml", ctx) == {"source": "m:make", "threads": 2}


def test_trust_is_not_given_by_a_file(params):
    with pytest.raises(UsageError, match="unknown key 'trust-source'"):
        params("trust-source = true")
