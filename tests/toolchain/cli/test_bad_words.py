"""Options that mean nothing: one sentence with the choices, exit code 2, nothing lost."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--profile", "rpi6", ("Unknown profile 'rpi6'; choose from a10,", "rpi5", "or give a .toml file.")),
        ("--profile", "nothing.toml", ("Profile 'nothing.toml' cannot be read",)),
        ("--precision", "int4", ("Unknown precision 'int4'; choose from fp32,", "int8-dynamic")),
        ("--runtime", "tensorrt", ("has no runtime 'tensorrt'; choose from onnxruntime",)),
        ("--runtime", "tensorflow", ("has no runtime 'tensorflow'",)),
        ("--metric", "top7", ("top7",)),
        ("--budget", "p42<=20ms", ("Budget 'p42<=20ms': unknown quantity 'p42'; choose from", "p90")),
        ("--budget", "speed<=20ms", ("unknown quantity 'speed'",)),
        ("--budget", "p90<=20", ("p90 takes one of the units us, ms, s, as in p90<=10ms.",)),
        ("--budget", "p90>=20ms", ("p90 takes <=, as in",)),
        ("--budget", "p90", ("Budget 'p90' cannot be read; write it like p90<=10ms.",)),
        ("--budget", "", ("Budget ''",)),
        ("--threads", "0", ("--threads",)),
        ("--threads", "many", ("'many' is not a valid integer",)),
        ("--duration", "0", ("--duration",)),
        ("--format", "xml", ("'xml' is not one of 'text', 'json'",)),
        ("--name", "a/b", ("'a/b'", "cannot name a file")),
        ("--name", "../escaped", ("cannot name a file",)),
        ("--name", ".hidden", ("cannot name a file",)),
        ("--nonsense", "x", ("No such option",)),
    ],
)
def test_an_unknown_word(refuses_build, option, value, words):
    refuses_build(option, value, words=words)


def test_an_unknown_metric_for_labelled_samples(refuses_build, npz):
    words = ("Unknown metric 'top7'; choose from auc, balanced-accuracy, f1, ", "top1, top5, wer.")
    refuses_build("--evaluation", npz(), "--metric", "top7", words=words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ("There is no file", "as FILE.py:FUNCTION")),
        ("def other(): pass", ("has no function 'score'",)),
        (
            "def score(outputs, labels): raise ValueError('no')",
            ("Metric 'score' failed: ValueError: no, at ", "metric.py:1 (`def score"),
        ),
        ("def score(outputs, labels): return 'good'", ("Metric 'score'",)),
        ("def score(outputs, labels): return [[1, 2]]", ("Metric 'score' returned an array of shape [1, 2]",)),
        ("def score(:", ("cannot be imported: SyntaxError", "metric.py:1 (`def score(:`)")),
    ],
)
def test_a_metric_of_the_users_own_that_is_none(refuses_build, npz, tmp_path, text, words):
    path = tmp_path / "metric.py"
    if text is not None:
        path.write_text(text)
    refuses_build("--evaluation", npz(), "--metric", f"{path}:score", words=words)


def test_a_quantity_that_is_limited_twice(refuses_build):
    words = ("Budgets 'p90<=1ms' and 'p90<=2ms' limit the same quantity; keep one.",)
    refuses_build("--budget", "p90<=1ms", "--budget", "p90<=2ms", words=words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('arch = "x86"', ("board.toml: 'arch' should be one of x86_64, aarch64, got 'x86'.",)),
        ("threads = 0", ("threads = 0; expected at least 1",)),
        ("spped = 3", ("board.toml: unknown key 'spped'",)),
        ("name = ", ("board.toml: not valid TOML",)),
        ('name = "other"', ("'name' is 'other'; it must be the file's name, 'board'.",)),
    ],
)
def test_a_profile_of_the_users_own_that_is_wrong(refuses_build, device_file, tmp_path, line, words):
    key = line.partition(" ")[0]
    kept = [row for row in device_file.read_text().splitlines() if not row.startswith(f"{key} ")]
    text = "\n".join([line, *kept]).replace('name = "bench"', 'name = "board"')
    (tmp_path / "board.toml").write_text(text)
    refuses_build("--profile", tmp_path / "board.toml", words=words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('bugdet = ["p90<=1ms"]', ("unknown key 'bugdet'; expected one of", "budget")),
        ("budget = 'p90<=1ms'", ("'budget' should be a list",)),
        ("threads = 1", ('names no source; add: source = "model.onnx"',)),
        ("source = ", ("cannot be read",)),
        ('source = "nothing.onnx"', ("There is no file 'nothing.onnx'",)),
    ],
)
def test_an_edgewright_toml_that_is_wrong(refuses_build, tmp_path, text, words):
    (tmp_path / "edgewright.toml").write_text(text)
    refuses_build(source=tmp_path / "edgewright.toml", words=words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["buidl", "m.onnx"], "No such command 'buidl'"),
        (["build"], "Missing argument 'SOURCE'"),
        (["inspect", "nothing.onnx"], "There is no file 'nothing.onnx'"),
        (["inspect", "nothing.edge"], "There is no file 'nothing.edge'"),
        (["measure", "nothing.onnx"], "There is no file 'nothing.onnx'"),
        (["measure", "nothing.edge"], "There is no file 'nothing.edge'"),
        (["measure", "m.edge", "--metric", "top1"], "The metric top1 needs labelled samples; give --evaluation"),
        (["verify", "nothing.edge"], "There is no file 'nothing.edge'"),
        (["profiles", "rpi6"], "Unknown profile 'rpi6'; choose from a10"),
        (["gate", "m.edge"], "There is no budget to judge by; give one, as in --budget 'p90<=10ms'."),
        (["gate", "m.edge", "--budget", "p90<=+5%"], "Budget 'p90<=+5%' compares with a baseline; give --baseline."),
        (["gate", "m.edge", "--budget", "p90<=1ms"], "There is no file 'm.edge'"),
        (["gate", "m.json", "--budget", "p90<=1ms"], "There is no file 'm.json'"),
        (["gate", "m.edge", "--budget", "p90<=1ms", "--metric", "top1"], "The metric top1 needs labelled samples"),
    ],
)
def test_another_command_misused(refuses, arguments, words):
    refuses(*arguments, words=(words,))
