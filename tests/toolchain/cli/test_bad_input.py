"""Every bad input: one clear sentence, exit code 2 (130 for Ctrl-C), no traceback, and nothing lost or half-written."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import tiny_models
import torch

from toolchain.pack import pack


@pytest.fixture
def out(tmp_path, built) -> Path:
    """An output folder that holds a good build and a file of the user's."""
    folder = tmp_path / "results"
    shutil.copytree(built, folder)
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture
def refuses(cli, out, temp_folder):
    """Runs a command that must be refused with one sentence that holds the words, and change nothing."""

    def run(*arguments: object, words: tuple[str, ...]) -> str:
        before = contents_of(out)
        ran = cli(*arguments)
        lines = [line for line in ran.err.splitlines() if line.strip()]
        assert (ran.code, ran.out) == (2, ""), ran.err
        assert [line for line in lines if line.startswith("Error: ")] == lines[-1:], ran.err
        assert "Traceback" not in ran.err
        assert contents_of(out) == before
        for word in words:
            assert word in lines[-1], ran.err
        return lines[-1]

    return run


@pytest.fixture
def refuses_build(refuses, out, digits, elsewhere):
    """The same for a build of the digits, with options added or in place of its own."""

    def run(*options: object, words: tuple[str, ...], source: object = digits.onnx, data: bool = True) -> str:
        base = ["build", source, "--profile", elsewhere.name, "--runtime", "onnxruntime", "--out", out]
        base += ["--precision", "int8", "--calibration", digits.calibration] if data else []
        return refuses(*base, *options, words=words)

    return run


@pytest.fixture
def npz(tmp_path, digits):
    """Writes the evaluation's arrays with some of them replaced, or left out."""

    def write(**arrays: object) -> Path:
        with np.load(digits.evaluation) as data:
            whole = {"image": data["image"][:20], "labels": data["labels"][:20], **arrays}
        path = tmp_path / "data.npz"
        np.savez(path, **{name: array for name, array in whole.items() if array is not None})
        return path

    return write


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# Sources


@pytest.mark.parametrize("source", ["nothing.onnx", "nothing.pt2", "nothing.py:make", "edgewright.toml", "nothing.pt"])
def test_a_missing_source(refuses_build, source):
    file = source.partition(":")[0]
    refuses_build("--input", "x=float32[N,4]", source=source, words=("There is no file", f"'{file}'"))


def test_a_source_of_no_kind(refuses_build):
    refuses_build(source="model.tflite", words=("'model.tflite' is no kind of source; give a .onnx,", "MODULE:FACTORY"))


@pytest.mark.parametrize("content", [b"", b"hello", bytes(100)], ids=["empty", "text", "zeros"])
def test_a_file_that_is_not_onnx(refuses_build, tmp_path, content):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    refuses_build(source=path, words=(f"'{path}' is not", "ONNX model"))


def test_a_truncated_model(refuses_build, tmp_path, digits):
    path = tmp_path / "net.onnx"
    path.write_bytes(digits.onnx.read_bytes()[:-1000])
    refuses_build(source=path, words=(f"'{path}' is not an ONNX model, or is truncated",))


def test_a_truncated_program(refuses_build, tmp_path, digits):
    path = tmp_path / "net.pt2"
    path.write_bytes(digits.program.read_bytes()[:-1000])
    refuses_build(source=path, words=(f"'{path}' cannot be read as a torch.export program",))


def test_a_model_that_lacks_its_external_data(refuses_build, tmp_path):
    path = tiny_models.external(tmp_path / "net.onnx")
    (tmp_path / "weights.data").unlink()
    refuses_build(source=path, words=("keeps weights in 'weights.data', which is not beside it; copy that file too",))


def test_a_model_that_onnx_runtime_cannot_run(refuses_build, tmp_path):
    path = tiny_models.double(tmp_path / "net.onnx", body="y = NoSuchOperator(x)")
    refuses_build(source=path, data=False, words=("ONNX Runtime cannot load", "NoSuchOperator"))


def test_a_pickle(refuses_build, tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "net.pt")
    words = ("is not a TorchScript archive", "FILE.py:FACTORY")
    refuses_build("--input", "x=float32[N,2]", source=tmp_path / "net.pt", words=words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def make(): raise ValueError('no weights here')", "raised ValueError: no weights here"),
        ("def make():\n    raise RuntimeError('two\\nlines')", "raised RuntimeError: two"),
        ("def make(): return [1, 2]", "returned a list; return a torch.nn.Module."),
        ("def other(): pass", "has no function 'make'; give the source as MODULE:FACTORY or FILE.py:FACTORY."),
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
        ("def make(:", "cannot be imported: SyntaxError"),
        ("import sys; sys.exit('usage: train')", "cannot be imported: SystemExit"),
    ],
    ids=["raises", "raises-lines", "returns-a-list", "missing", "import-error", "syntax-error", "script"],
)
def test_a_factory_that_gives_no_model(refuses_build, tmp_path, text, words):
    (tmp_path / "net.py").write_text(text)
    source = f"{tmp_path / 'net.py'}:make"
    refuses_build("--input", "x=float32[N,4]", source=source, words=(str(tmp_path / "net.py"), words))


def test_a_module_that_is_not_there(refuses_build):
    words = ("'no_such_package.nets' cannot be imported", "ModuleNotFoundError")
    refuses_build("--input", "x=float32[N,4]", source="no_such_package.nets:make", words=words)


def test_a_model_with_randomness(refuses_build, tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return x + torch.rand_like(x)\n"
    )
    words = ("computes something else", "in eval mode, and free of randomness?")
    refuses_build("--input", "x=float32[N,4]", source=f"{tmp_path / 'net.py'}:Net", data=False, words=words)


# Inputs


@pytest.mark.parametrize("text", ["image", "image=float32", "image=float32[N,1,8", "=float32[N]", ""])
def test_an_input_that_cannot_be_read(refuses_build, text):
    words = (f"Input '{text}' cannot be read; write it like image=float32[N,3,224,224].",)
    refuses_build("--input", text, words=words)


def test_an_input_of_an_unknown_dtype_or_dimension(refuses_build):
    refuses_build("--input", "image=float[N,1,8,8]", words=("unknown dtype 'float'; choose from float32",))
    refuses_build("--input", "image=float32[N,1,8,0]", words=("'0' is no dimension; give a number above zero",))


def test_an_input_that_the_model_lacks(refuses_build):
    words = ("has no input 'picture'; it takes image=float32[",)
    refuses_build("--input", "picture=float32[N,1,8,8]", words=words)


def test_an_input_of_another_dtype_than_the_models(refuses_build):
    refuses_build("--input", "image=float16[N,1,8,8]", words=("input 'image' is float32, not float16",))


def test_a_factory_whose_inputs_are_not_described(refuses_build, tmp_path):
    (tmp_path / "net.py").write_text("import torch\nmake = lambda: torch.nn.Linear(4, 2)\n")
    words = ("needs its inputs described; add --input, as in --input image=float32[N,3,224,224].",)
    refuses_build(source=f"{tmp_path / 'net.py'}:make", words=words)


# Samples


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
    words = ("has no array 'labels'; put one entry per sample beside the inputs.",)
    refuses_build("--evaluation", npz(labels=None), "--metric", "top1", words=words)


@pytest.mark.parametrize("labels", [np.zeros(19, int), np.array(3)])
def test_labels_of_another_number(refuses_build, npz, labels):
    words = ("holds 20 samples and labels of shape", str(list(labels.shape)))
    refuses_build("--evaluation", npz(labels=labels), words=words)


def test_inputs_that_disagree_about_the_number_of_samples(refuses_build, tmp_path):
    model = tiny_models.embedding(tmp_path / "net.onnx")
    arrays = tiny_models.samples("embedding", 6)
    np.savez(tmp_path / "c.npz", tokens=arrays["tokens"], mask=arrays["mask"][:4])
    words = ("disagree about the number of samples", "tokens has 6", "mask has 4")
    refuses_build("--calibration", tmp_path / "c.npz", source=model, words=words)


def test_samples_that_do_not_fill_a_fixed_batch(refuses_build, tmp_path):
    model = tiny_models.fixed_batch(tmp_path / "net.onnx")
    np.savez(tmp_path / "c.npz", **tiny_models.samples("fixed_batch", 6))
    words = ("batch is fixed at 4", "6 samples are not a multiple of it")
    refuses_build("--calibration", tmp_path / "c.npz", source=model, words=words)


def test_an_integer_that_the_model_cannot_look_up(refuses_build, tmp_path):
    model = tiny_models.embedding(tmp_path / "net.onnx")
    arrays = tiny_models.samples("embedding", 6)
    np.savez(tmp_path / "c.npz", tokens=arrays["tokens"] + 1000, mask=arrays["mask"])
    refuses_build("--calibration", tmp_path / "c.npz", source=model, words=("ONNX Runtime failed", "Gather"))


# Words


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
    words = ("Unknown metric 'top7'; choose from auc, parity, top1, top5",)
    refuses_build("--evaluation", npz(), "--metric", "top7", words=words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ("There is no file", "give the metric as FILE.py:FUNCTION")),
        ("def other(): pass", ("has no function 'score'",)),
        ("def score(outputs, labels): raise ValueError('no')", ("Metric 'score' failed: ValueError: no",)),
        ("def score(outputs, labels): return 'good'", ("Metric 'score'",)),
        ("def score(outputs, labels): return [[1, 2]]", ("Metric 'score' returned an array of shape [1, 2]",)),
        ("def score(:", ("cannot be imported: SyntaxError",)),
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
        ('name = "other"', ("'name' should be 'board', the file's name, got 'other'.",)),
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
        ("threads = 1", ('The edgewright.toml names no source; add: source = "model.onnx"',)),
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


# Bundles and reports


@pytest.mark.parametrize("command", ["verify", "measure", "inspect", "gate"])
@pytest.mark.parametrize("damage", ["text", "truncated", "onnx"])
def test_a_bundle_that_is_none(refuses, built_bundle, digits, tmp_path, command, damage):
    whole = {"text": b"hello", "truncated": built_bundle.read_bytes()[:-2000], "onnx": digits.onnx.read_bytes()}
    path = tmp_path / "bad.edge"
    path.write_bytes(whole[damage])
    budget = ("--budget", "p90<=1s") if command == "gate" else ()
    refuses(command, path, *budget, words=(f"'{path}'",))


def test_a_bundle_without_golden_samples(refuses, contents, device, tmp_path):
    bare = dataclasses.replace(contents, profile=device, golden_inputs={}, golden_outputs={}, report=None)
    pack(bare, tmp_path / "bare.edge")
    refuses("verify", tmp_path / "bare.edge", words=("holds no golden samples",))
    refuses("measure", tmp_path / "bare.edge", words=("holds no golden samples to run; rebuild it",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "is not a report"),
        ("[]", "follows report schema None"),
        ('{"schema_version": 99, "fields": []}', "follows report schema 99; this release of edgewright reads"),
        ('{"schema_version": 1}', "'fields' is missing"),
        ('{"schema_version": 1, "fields": []}', "holds 0 profiles"),
    ],
)
def test_a_report_that_is_none(refuses, tmp_path, text, words):
    (tmp_path / "bad.json").write_text(text)
    refuses("gate", tmp_path / "bad.json", "--budget", "p90<=1s", words=(words,))


def test_a_baseline_of_another_model(refuses, built, tmp_path):
    data = json.loads((built / "report.json").read_text())
    for entry in data["fields"][0]["entries"]:
        entry["report"]["model"] = "other"
    (tmp_path / "other.json").write_text(json.dumps(data))
    words = ("The baseline is of another model (other, not digits); compare like with like.",)
    refuses("gate", built / "report.json", "--baseline", tmp_path / "other.json", "--budget", "p90<=+5%", words=words)


def test_a_baseline_of_another_machine(refuses, built, tmp_path):
    data = json.loads((built / "report.json").read_text())
    for entry in data["fields"][0]["entries"]:
        entry["report"]["machine"]["cpu"] = "Other CPU"
    (tmp_path / "other.json").write_text(json.dumps(data))
    words = ("The baseline was measured on another machine (cpu: Other CPU there",)
    refuses("gate", built / "report.json", "--baseline", tmp_path / "other.json", "--budget", "p90<=+5%", words=words)


# Where results cannot go


def test_an_output_folder_under_a_file(refuses_build, tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in ("file", "file/out"):
        words = (f"The output folder '{tmp_path / path}' cannot be written to", "give another with --out.")
        refuses_build("--out", tmp_path / path, words=words)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc, which takes no files even from root")
@pytest.mark.parametrize("path", ["/proc", "/proc/edgewright"])
def test_an_output_folder_that_takes_no_files(refuses_build, path):
    refuses_build("--out", path, words=(f"The output folder '{path}' cannot be written to", "give another with --out."))


def test_a_report_that_cannot_be_written_is_refused_before_measuring(refuses, built_bundle, tmp_path):
    (tmp_path / "file").write_text("mine")
    words = (f"The output folder '{tmp_path / 'file'}' cannot be written to",)
    refuses("measure", built_bundle, "--out", tmp_path / "file" / "report.json", words=words)


def test_an_output_folder_that_was_made_for_nothing_goes_again(refuses_build, tmp_path):
    refuses_build("--out", tmp_path / "new" / "folder", source="nothing.onnx", words=("There is no file",))
    assert not (tmp_path / "new").exists()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of its own, with room for the good build and 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "edgewright-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a disk that is full")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, leaving: int) -> None:
    """Take up all but so many bytes of a disk."""
    free = shutil.disk_usage(folder).free
    (folder / "filling").write_bytes(bytes(max(0, free - leaving)))


@pytest.mark.parametrize("leaving", [0, 16 << 10, 256 << 10])
def test_a_full_disk_leaves_the_last_build(refuses, out, digits, device_file, small_disk, leaving):
    results = small_disk / "results"
    shutil.copytree(out, results)
    fill(small_disk, leaving)
    before = contents_of(small_disk)
    words = (f"'{results}' is full; nothing was left half-written.",) if leaving else (str(results), "No space left")
    refuses(
        *("build", digits.onnx, "--profile", device_file, "--runtime", "onnxruntime", "--precision", "fp32"),
        *("--evaluation", digits.evaluation, "--duration", "0.2", "--out", results),
        words=words,
    )
    assert contents_of(small_disk) == before


@pytest.mark.parametrize("leaving", [0, 32 << 10, 128 << 10, 256 << 10])
def test_a_full_disk_for_temporary_files(cli, out, digits, elsewhere, small_disk, monkeypatch, leaving):
    fill(small_disk, leaving)
    before = contents_of(out)
    monkeypatch.setenv("TMPDIR", str(small_disk))
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    ran = cli(
        *("build", digits.program, "--input", "image=float32[N,1,8,8]", "--profile", elsewhere.name, "--out", out),
        *("--runtime", "onnxruntime", "--precision", "fp32", "--precision", "int8"),
        *("--calibration", digits.calibration, "--evaluation", digits.evaluation),
    )
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("Error: ")
    assert str(small_disk) in line
    assert contents_of(out) == before
    assert {file.name for file in small_disk.iterdir()} <= {"filling", ".ses"}


# Ctrl-C


@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "process"])
@pytest.mark.parametrize("moment", ["factory", "measuring"])
def test_an_interrupt_leaves_nothing_behind(out, digits, device_file, tmp_path, moment, whole_group):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = contents_of(out)
    marker = tmp_path / "started"
    (tmp_path / "slow.py").write_text(
        f"import pathlib, time\ndef make():\n    pathlib.Path({str(marker)!r}).touch()\n    time.sleep(60)\n"
    )
    source = f"{tmp_path / 'slow.py'}:make" if moment == "factory" else str(digits.onnx)
    process = subprocess.Popen(
        [sys.executable, "-c", "from toolchain.cli import main; main()", "build", source, "--duration", "15"]
        + ["--input", "image=float32[N,1,8,8]", "--profile", str(device_file), "--runtime", "onnxruntime"]
        + ["--precision", "fp32", "--evaluation", str(digits.evaluation), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )
    try:
        started = marker.exists if moment == "factory" else lambda: is_measuring(process)
        wait_until(lambda: started() or process.poll() is not None)
        children = psutil.Process(process.pid).children(recursive=True)
        if whole_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.strip() == "Interrupted; nothing was left half-written."
    assert contents_of(out) == before
    assert {file.name for file in temporary.iterdir()} <= {".ses"}
    assert moment == "factory" or len(children) == 1
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


def is_measuring(process: subprocess.Popen[str]) -> bool:
    try:
        children = psutil.Process(process.pid).children()
        return any("sample" in child.cmdline() for child in children)
    except psutil.Error:
        return False


def wait_until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
