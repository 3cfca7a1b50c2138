"""action.yml's steps, run by a shell as GitHub's runner runs them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from toolchain.packaging.pack import Contents, pack

ROOT = Path(__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
INSTALL, GATE, COMMENT = ACTION["runs"]["steps"]


def run(
    step: dict[str, Any], folder: Path, action_path: Path = ROOT, **inputs: str
) -> subprocess.CompletedProcess[str]:
    """A composite action's step: `bash --noprofile --norc -eo pipefail`, expressions filled in."""
    values = {name: str(given.get("default", "")) for name, given in ACTION["inputs"].items()} | inputs
    known = {f"inputs.{name}": value for name, value in values.items()} | {"github.action_path": str(action_path)}
    known |= {"github.repository": "owner/repository", "github.event.pull_request.number": "7"}
    fill = re.compile(r"\$\{\{ ([\w.-]+) \}\}")
    environment = {name: fill.sub(lambda match: known[match[1]], text) for name, text in step["env"].items()}
    script = folder / "step.sh"
    script.write_text(step["run"])
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "RUNNER_TEMP": str(folder), "PYTHONPATH": str(ROOT)}
    files = {name: str(folder / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    return subprocess.run(
        [step["shell"], "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=folder,
        env={**os.environ, **own, **files, **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.fixture
def folder(contents: Contents, tmp_path: Path) -> Path:
    """A checkout with a bundle in it, and our command as it is here."""
    pack(dataclasses.replace(contents, report=None), tmp_path / "my model.edge")
    program = tmp_path / "bin" / "edgewright"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom toolchain.cli import main\nmain()\n")
    program.chmod(0o755)
    return tmp_path


def outputs(folder: Path) -> dict[str, str]:
    lines = (folder / "github_output").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_gate_step_annotates_summarises_and_reports(folder: Path) -> None:
    done = run(GATE, folder, bundle="my model.edge", budgets="size<=1GB\n\n  \np50<=10s\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("::notice title=size<=1GB%3A pass::")
    assert outputs(folder)["verdict"] == "pass"
    assert "**pass** p50<=10s" in (folder / "github_step_summary").read_text()
    assert 'tests="2"' in (folder / "edgewright-gate.xml").read_text()
    assert '"schema_version"' in Path(outputs(folder)["report"]).read_text()


@pytest.mark.parametrize(
    ("budget", "inconclusive", "code", "verdict"),
    [
        ("size<=1B", "fail", 1, "fail"),
        ("size<=1B", "pass", 1, "fail"),
        ("accuracy>=0.5", "fail", 1, "inconclusive"),
        ("accuracy>=0.5", "pass", 0, "inconclusive"),
    ],
)
def test_what_is_not_met_fails_the_job_and_inconclusive_only_passes_where_asked(
    folder: Path, budget: str, inconclusive: str, code: int, verdict: str
) -> None:
    done = run(GATE, folder, bundle="my model.edge", budgets=budget, inconclusive=inconclusive)
    assert (done.returncode, outputs(folder)["verdict"]) == (code, verdict), done.stderr


def test_the_gate_scores_by_the_metric_that_the_job_names(folder: Path) -> None:
    (folder / "m.py").write_text("def number(outputs, labels):\n    return float(labels.mean())\n")
    np.savez(folder / "e.npz", image=np.ones((20, 3, 8, 8), np.float32), labels=np.ones(20))
    given = {"bundle": "my model.edge", "budgets": "accuracy[number]>=0.5", "evaluation": "e.npz"}
    assert run(GATE, folder, **given).returncode == 2
    done = run(GATE, folder, **given, metric="m.py:number")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mistake_fails_the_job_with_its_sentence(folder: Path) -> None:
    done = run(GATE, folder, bundle="my model.edge", budgets="p42<=1ms")
    assert done.returncode == 2
    assert "unknown quantity 'p42'" in done.stderr
    assert not (folder / "github_output").exists()


def test_the_install_step_installs_this_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "action"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in ("profiles", "runtimes", "hwbench", "toolchain"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PIP_NO_DEPS", "1")  # they are here already, and so is what builds it
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip reads it the wrong way round (pip#5735)
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "installed"))
    done = run(INSTALL, tmp_path, action_path=source)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed" / "hwbench" / "gate" / "pytest_plugin.py").is_file()


def test_every_input_is_used_and_every_expression_known() -> None:
    text = (ROOT / "action.yml").read_text()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])


GH = """#!/usr/bin/env python3
import json, os, pathlib, sys
store = pathlib.Path(__file__).with_name("comments.json")
comments = json.loads(store.read_text()) if store.exists() else []
words = sys.argv[1:]
if "--method" not in words:
    wanted = words[words.index("--jq") + 1].partition('contains("')[2].partition('")')[0]
    print(*[number for number, body in enumerate(comments, 1) if wanted in body], sep="\\n")
else:
    body = pathlib.Path(words[-1].removeprefix("body=@")).read_text()
    if words[words.index("--method") + 1] == "POST":
        comments.append(body)
    else:
        comments[int(words[words.index("PATCH") + 1].rpartition("/")[2]) - 1] = body
    store.write_text(json.dumps(comments))
"""


def test_the_comment_is_edited_and_not_repeated(folder: Path) -> None:
    """By a stand-in for GitHub's program that keeps the comments in a file."""
    program = folder / "bin" / "gh"
    program.write_text(GH)
    program.chmod(0o755)
    assert run(COMMENT, folder).returncode == 0  # without a result there is nothing to say
    body = folder / "edgewright-gate.md"
    for text in ("first", "second", "third"):
        body.write_text(f"{text}\n\n<!-- edgewright {'other' if text == 'third' else 'model'}/device -->\n")
        done = run(COMMENT, folder)
        assert done.returncode == 0, done.stderr
    comments = json.loads((folder / "bin" / "comments.json").read_text())
    assert [text.split()[0] for text in comments] == ["second", "third"]
