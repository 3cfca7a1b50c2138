"""A short run of the fuzzer: every reader gets some damaged inputs, and none is a finding."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_reader_refuses_or_reads(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "4", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(.+?) +([\d,]+) +([\d,]+) +([\d,]+)$", done.stdout, re.MULTILINE)
    assert len(rows) >= 21
    assert all(int(inputs.replace(",", "")) > 0 for _, inputs, _, _ in rows)
    assert not list(ROOT.glob("finding-*"))
