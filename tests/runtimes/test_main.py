"""`python -m runtimes`: exit codes, what goes to stdout and what to stderr, and what it writes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
from bundle_parts import BundleParts

from runtimes import cpu
from runtimes.__main__ import main
from runtimes.bundles.bundle import Bundle
from runtimes.bundles.manifest import Manifest
from runtimes.codec import decode
from runtimes.inference.session import Session
from runtimes.sampling import closed_loop, peak_memory
from runtimes.sampling.closed_loop import Block
from runtimes.tensors import Array
from toolchain.packaging.pack import Contents, pack

PLAN = '{"min_runs": 30, "max_runs": 30}'


class Done(NamedTuple):
    code: int
    stdout: str
    stderr: str

    def refused(self) -> str:
        """The error's sentence, after checking that it is one and nothing else."""
        assert self.code == 2
        assert self.stdout == ""
        assert self.stderr.startswith("Error: ")
        assert self.stderr.count("\n") == 1
        assert self.stderr.endswith("\n")
        return self.stderr.removeprefix("Error: ").rstrip("\n")


Call = Callable[..., Done]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command line in this process."""

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def inputs(tmp_path: Path, images: Array) -> Path:
    path = tmp_path / "inputs.npz"
    np.savez(path, image=images)
    return path


@pytest.fixture
def mismatching(contents: Contents, tmp_path: Path) -> Path:
    """A bundle whose golden outputs are 1% off."""
    path = tmp_path / "mismatching.edge"
    scores = contents.golden_outputs["scores"] * np.float32(1.01)
    pack(dataclasses.replace(contents, golden_outputs={"scores": scores}), path)
    return path


@pytest.fixture
def elsewhere(parts: BundleParts, repacked: Callable[[], Path]) -> Path:
    """A bundle for another architecture."""
    parts.manifest["profile"]["arch"] = {"x86_64": "aarch64", "aarch64": "x86_64"}[cpu.arch()]
    return repacked()


def test_a_process_of_its_own(bundle: Path, inputs: Path, tmp_path: Path) -> None:
    def start(*arguments: object) -> Done:
        command = [sys.executable, "-m", "runtimes", *map(str, arguments)]
        root = str(Path(__file__).parents[2])
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}, timeout=60
        )
        return Done(done.returncode, done.stdout, done.stderr)

    assert start("verify", bundle).code == 0
    assert start("run", bundle, "--inputs", inputs, "--outputs", "y.npz") == (0, "", "")
    assert start("run", bundle, "--inputs", "none.npz", "--outputs", "z.npz").refused()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["inputs.npz", "y.npz"]
    usage = start("destroy", bundle)
    assert usage.code == 2
    assert "invalid choice: 'destroy'" in usage.stderr
    assert start().code == 2


# info


def test_info_prints_the_manifest(bundle: Path, call: Call) -> None:
    done = call("info", bundle)
    assert (done.code, done.stderr) == (0, "")
    with Bundle(bundle) as opened:
        assert decode(Manifest, json.loads(done.stdout), "stdout") == opened.manifest


def test_info_works_for_any_machine_s_bundle(elsewhere: Path, call: Call) -> None:
    assert call("info", elsewhere).code == 0


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_bundle_that_is_none(tmp_path: Path, call: Call, command: str) -> None:
    assert call(command, tmp_path / "no.edge").refused() == f"There is no file '{tmp_path / 'no.edge'}'."
    (tmp_path / "x.edge").write_text("not a bundle")
    assert "is not an .edge bundle" in call(command, tmp_path / "x.edge").refused()


def test_errors_stay_on_one_line_whatever_a_bundle_says(parts: BundleParts, tmp_path: Path, call: Call) -> None:
    parts.manifest["two\nlines\x1b[2J\ud800"] = 1
    message = call("info", parts.write(tmp_path / "x.edge")).refused()
    assert r"holds the text 'two\nlines\x1b[2J\ud800'" in message


# verify


def test_verify_a_good_bundle(bundle: Path, call: Call) -> None:
    done = call("verify", bundle)
    assert (done.code, done.stderr) == (0, "")
    title, digests, result = done.stdout.splitlines()
    assert title.startswith("tiny for ")
    assert digests == "4 members, all digests match; not signed"
    assert result.startswith("ok: scores differs by ")
    assert done.stdout.endswith("(tolerance 1e-03) on 4 samples\n")


def test_verify_a_mismatch(mismatching: Path, call: Call) -> None:
    done = call("verify", mismatching)
    assert done.code == 1
    assert done.stderr == ""
    _, _, result, meaning, *causes = done.stdout.splitlines()
    assert result.startswith("MISMATCH: scores differs by 9.9")
    assert meaning.startswith("The bundle is intact, but its outputs differ from those of the machine")
    assert len(causes) == 1


def test_a_mismatch_suggests_its_causes(
    mismatching: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = BundleParts(mismatching)
    parts.manifest["artifact"]["precision"] = "int8"
    parts.manifest["artifact"]["tool_versions"]["onnxruntime"] = "1.0.0"
    parts.manifest["profile"]["arch"] = cpu.arch()
    parts.manifest["profile"]["cpu"]["isa"] = ["avx9000"]
    monkeypatch.setattr(cpu, "arch", lambda: parts.manifest["profile"]["arch"])
    monkeypatch.setattr(cpu, "isa_flags", lambda: frozenset({"avx2"}))
    done = call("verify", parts.write(tmp_path / "x.edge"), "--any-machine")
    assert done.code == 1
    assert f"packed with onnxruntime 1.0.0, and {onnxruntime.__version__} is installed here" in done.stdout
    assert "needs avx9000, which this machine's processor lacks" in done.stdout
    saturates = "this processor has no VNNI, so sums of int8 products may saturate" in done.stdout
    assert saturates is (cpu.arch() == "x86_64")


def test_verify_a_tampered_bundle(parts: BundleParts, tmp_path: Path, call: Call) -> None:
    name = "artifact/model.onnx"
    parts.members[name] = parts.members[name].replace(b"Relu", b"Sign")
    message = call("verify", parts.write(tmp_path / "x.edge")).refused()
    assert message.endswith(f"the bytes of '{name}' are not those that were packed.")


def test_verify_gives_a_ci_server_no_orders(contents: Contents, tmp_path: Path, call: Call) -> None:
    pack(dataclasses.replace(contents, model="::error::##[group]x"), tmp_path / "x.edge")
    done = call("verify", tmp_path / "x.edge")
    assert done.code == 0
    assert done.stdout.startswith(r"\::error::#\#[group]x for ")


def test_verify_another_machine_s_bundle(elsewhere: Path, call: Call) -> None:
    assert "build for this machine's profile" in call("verify", elsewhere).refused()
    assert call("verify", elsewhere, "--any-machine").code == 0


# run


def test_run_writes_the_outputs_of_every_sample(
    bundle: Path, inputs: Path, tmp_path: Path, call: Call, contents: Contents
) -> None:
    assert call("run", bundle, "--inputs", inputs, "--outputs", tmp_path / "outputs") == (0, "", "")
    with np.load(tmp_path / "outputs") as outputs:
        assert outputs.files == ["scores"]
        np.testing.assert_allclose(outputs["scores"], contents.golden_outputs["scores"], rtol=1e-4, atol=1e-5)


def test_run_another_machine_s_bundle(elsewhere: Path, inputs: Path, tmp_path: Path, call: Call) -> None:
    arguments = ["run", elsewhere, "--inputs", inputs, "--outputs", tmp_path / "y.npz"]
    assert "this machine is" in call(*arguments).refused()
    assert call(*arguments, "--any-machine").code == 0


def test_inputs_that_cannot_be_run(bundle: Path, tmp_path: Path, call: Call, images: Array) -> None:
    inputs, outputs = tmp_path / "x.npz", tmp_path / "y.npz"
    for command in (
        ("run", bundle, "--inputs", inputs, "--outputs", outputs),
        ("sample", bundle, "--inputs", inputs, "--out", outputs),
    ):
        inputs.unlink(missing_ok=True)
        assert call(*command).refused() == f"There is no file '{inputs}'."
        np.savez(inputs, image=np.array([images, None], object), allow_pickle=True)
        assert "holds Python objects" in call(*command).refused()
        inputs.write_bytes(b"PK\x03\x04")
        assert "cannot be read as an .npz of plain arrays" in call(*command).refused()
        with inputs.open("wb") as stream:
            np.save(stream, images)
        assert "is a single array" in call(*command).refused()
        np.savez(inputs, image=images[:0])
        assert " no samples" in call(*command).refused()
        np.savez(inputs, picture=images)
        assert call(*command).refused() == "There is no array for the input 'image'; found picture."
        np.savez(inputs, image=images.astype(np.float64))
        assert "Input 'image' is float64; expected float32" in call(*command).refused()
        np.savez(inputs, image=images.astype(">f4"))
        assert "another byte order" in call(*command).refused()
        np.savez(inputs, image=images[:, :, :4])
        assert "has shape [1, 3, 4, 8]; expected [N, 3, 8, 8]" in call(*command).refused()
        assert not outputs.exists()


def test_outputs_that_cannot_be_written(bundle: Path, inputs: Path, tmp_path: Path, call: Call) -> None:
    for target, reason in ((tmp_path / "no" / "y", "No such file or directory"), (tmp_path, "Is a directory")):
        message = f"'{target}' cannot be written: {reason}."
        assert call("run", bundle, "--inputs", inputs, "--outputs", target).refused() == message
        assert call("sample", bundle, "--inputs", inputs, "--out", target, "--plan", PLAN).refused() == message
    assert list(tmp_path.iterdir()) == [inputs]


def test_a_model_without_a_runtime(
    bundle: Path, inputs: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "runtimes.backends.onnxruntime", raising=False)
    message = call("run", bundle, "--inputs", inputs, "--outputs", tmp_path / "y.npz").refused()
    assert message.endswith("pip install 'edgewright[onnxruntime]'")


# sample


def test_sample_writes_a_block_of_plausible_samples(bundle: Path, inputs: Path, tmp_path: Path, call: Call) -> None:
    out = tmp_path / "block.json"
    plan = '{"min_runs": 200, "duration_s": 0.1, "time_limit_s": 5}'
    assert call("sample", bundle, "--inputs", inputs, "--out", out, "--plan", plan) == (0, "", "")
    block = decode(Block, json.loads(out.read_text()), "block")
    assert len(block.samples_ns) >= 200
    assert len(block.warmup_ns) >= 20 or not block.settled
    assert sum(block.samples_ns) < 6e9
    assert 1_000 < np.median(block.samples_ns) < 50e6  # a model of two layers: more than 1 us, less than 50 ms
    assert block.load_ns > np.median(block.samples_ns)
    assert block.cpu_ns > 0
    assert block.environment["onnxruntime"] == onnxruntime.__version__
    assert block.conditions is not None
    assert block.conditions.wall_ns >= sum(block.samples_ns)
    assert len(block.probe_ns) >= 1
    if peak_memory.peak_bytes() is not None:
        assert block.idle_memory_bytes is not None
        assert block.peak_memory_bytes is not None
        assert block.peak_memory_bytes >= block.idle_memory_bytes > 5 << 20


def test_sample_takes_no_more_inputs_than_it_can_hold(
    bundle: Path, tmp_path: Path, call: Call, images: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[dict[str, Array]] = []

    def spy(session: Session, feeds: Sequence[dict[str, Array]], *rest: Any) -> Block:
        held.extend(feeds)
        return closed_loop.sample(session, feeds, *rest)

    monkeypatch.setattr("runtimes.__main__.sample", spy)
    np.savez(tmp_path / "x.npz", image=np.concatenate([images] * 3))
    out = tmp_path / "block.json"
    assert call("sample", bundle, "--inputs", tmp_path / "x.npz", "--out", out, "--plan", PLAN).code == 0
    assert len(held) == 8
    np.testing.assert_array_equal(held[5]["image"], images[1:2])


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ("{", "--plan is not JSON: "),
        ("[" * 100_000, "--plan is not JSON: "),
        ("[]", "--plan: expected a table, got []."),
        ('{"runs": 3}', "--plan: unknown key 'runs'; expected one of min_runs, "),
        ('{"min_runs": 1.5}', "--plan: 'min_runs' should be an integer, got 1.5."),
        ('{"duration_s": NaN}', "A sampling plan has duration_s = nan; "),
        ('{"warmup_limit_s": Infinity}', "A sampling plan has warmup_limit_s = inf; "),
    ],
)
def test_plans_that_cannot_be_read(
    bundle: Path, inputs: Path, tmp_path: Path, call: Call, plan: str, reason: str
) -> None:
    done = call("sample", bundle, "--inputs", inputs, "--out", tmp_path / "block.json", "--plan", plan)
    assert done.refused().startswith(reason)
    assert not (tmp_path / "block.json").exists()


def test_an_interrupt_is_no_error(bundle: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("runtimes.__main__.Bundle", interrupt)
    assert call("info", bundle) == (130, "", "")


def test_a_reader_that_leaves_is_no_error(bundle: Path) -> None:
    command = f"{sys.executable} -m runtimes info {bundle} | head -c 1"
    done = subprocess.run(["bash", "-c", command], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")


def test_options_are_not_guessed_from_their_beginning(bundle: Path, inputs: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["run", str(bundle), "--input", str(inputs), "--outputs", str(tmp_path / "o.npz")])
    assert exit_.value.code == 2
