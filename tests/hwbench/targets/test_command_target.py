"""Any program as a target: what it prints becomes a block, and what it does wrong one sentence."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwbench.targets.command import CommandTarget, read_command
from runtimes.codec import encode
from runtimes.errors import BackendError, UsageError
from runtimes.sampling.closed_loop import SamplingPlan

NOWHERE = Path("nowhere")
PLAN = SamplingPlan(min_runs=30, duration_s=0.25)

C_PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    puts("{\"load_ms\": 2.5}");
    puts("{\"ms\": 9, \"warmup\": true}");
    for (int i = 0; i < atoi(argv[1]); i++) printf("{\"us\": %d}\n", 1000 + i);
    puts("{\"peak_memory_bytes\": 123456}");
    return 0;
}
"""


def script(code: str) -> CommandTarget:
    """A program in Python."""
    return read_command(shlex.join([sys.executable, "-c", code, "{runs}", "{seconds}"]))


def sample(code: str):
    return script(code).sample(NOWHERE, NOWHERE, PLAN)


def test_a_program_in_c(tmp_path):
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("there is no C compiler")
    source = tmp_path / "run model.c"
    source.write_text(C_PROGRAM)
    subprocess.run([compiler, "-o", str(tmp_path / "run model"), str(source)], check=True)
    target = read_command(f"'{tmp_path}/run model' {{runs}}")
    block = target.sample(NOWHERE, NOWHERE, PLAN)
    assert block.samples_ns == tuple(1_000_000 + 1_000 * i for i in range(30))
    assert block.warmup_ns == (9_000_000,)
    assert (block.load_ns, block.peak_memory_bytes) == (2_500_000, 123456)
    assert target.executable == tmp_path / "run model"


def test_a_program_is_told_how_long_to_run_and_its_other_stream_is_its_own():
    block = sample("import sys; print('hello', file=sys.stderr); print('{\"s\": %s}' % sys.argv[2])")
    assert block.samples_ns == (250_000_000,)
    assert block.load_ns == 0  # it said nothing, and took less than its inference
    assert block.peak_memory_bytes is None


def test_our_own_raw_samples_are_taken_as_they_are(make_block):
    block = make_block([1.0, 2.0, 3.0])
    assert sample(f"print({json.dumps(json.dumps(encode(block)))})") == block


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("pass", ["no inference", '{"ms": 1.25}']),
        ("print('{\"ms\": 1}'); print('1.5 ms')", ["Line 2", "'1.5 ms'"]),
        ("print('[1]')", ["Line 1"]),
        ('print(\'{"ms": 1, "us": 1}\')', ["Line 1", "us and ms"]),
        ("print('{\"time\": 1}')", ["Line 1", "no time"]),
        *[(f"print('{{\"ms\": {value}}}')", ["Line 1", "more than 0"]) for value in ("0", "-1", "NaN", "1e99", "true")],
        ("print('{\"samples_ns\": [1]}')", ["warmup_ns"]),
        ("print('{\"ms\": 1}'); raise SystemExit('no model')", ["exit code 1", "after 1 line", "no model"]),
        ("import os; os.kill(os.getpid(), 11)", ["signal 11"]),
    ],
)
def test_what_a_program_does_wrong_is_one_sentence(code, words):
    with pytest.raises(BackendError) as refused:
        sample(code)
    for word in words:
        assert word in str(refused.value)


def test_a_program_that_hangs_is_killed_with_what_it_started(monkeypatch, tmp_path):
    monkeypatch.setattr("hwbench.targets.command.limit_s", lambda plan: 1.0)
    child = f"import time; open({str(tmp_path / 'started')!r}, 'w'); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(BackendError, match=r"hung.*1 s"):
        sample(code)


def test_a_program_that_is_missing_is_told_before_anything_runs():
    with pytest.raises(UsageError, match=r"no program '\./no such'"):
        read_command("'./no such' --runs {runs}")
    with pytest.raises(UsageError, match="quotation"):
        read_command("run 'model")
    with pytest.raises(UsageError, match="empty"):
        read_command(" ")


def test_outputs_are_what_the_program_wrote(tmp_path):
    code = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2]); print('{\"ms\": 1}')"
    (tmp_path / "in.npz").write_bytes(b"samples")
    target = read_command(shlex.join([sys.executable, "-c", code, "{inputs}", "{outputs}"]))
    target.run(NOWHERE, tmp_path / "in.npz", tmp_path / "out.npz")
    assert (tmp_path / "out.npz").read_bytes() == b"samples"
    with pytest.raises(UsageError, match=r"\{outputs\}"):
        script("pass").run(NOWHERE, tmp_path / "in.npz", tmp_path / "out2.npz")
