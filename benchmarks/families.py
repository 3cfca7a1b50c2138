"""Families of models through whole builds on both CPU runtimes: what exports, what int8 costs, what it saves.

    python -m benchmarks.families [FAMILY...] | tee benchmarks/results/families.txt
    python -m benchmarks.families --page      # measures nothing, and writes the page of what is kept

Trains each family of `tests/families` once, and writes `docs/families.md`. Everything is kept in `out/families`,
so a run of some families replaces only their rows.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from benchmarks import families_page
from benchmarks.family_rows import Row, described
from runtimes.codec import decode, encode
from tests import families
from tests.families._training import FOLDER

OUT = Path("out/families")
PAGE = Path("docs/families.md")
_LIMIT_S = 600


def main(names: list[str]) -> None:
    """Measure families, in a process each, and print their rows; then write the page of all rows there are."""
    OUT.mkdir(parents=True, exist_ok=True)
    os.environ[FOLDER] = str(OUT.resolve())
    for name in [] if names == ["--page"] else names or families.names():
        start = time.perf_counter()
        row = _measured_apart(name)
        (OUT / f"{name}.json").write_text(json.dumps(encode(row), indent=1))
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    rows = [_kept(name) for name in families.names()]
    print(f"{platform.machine()}, {', '.join(f'{name} {version(name)}' for name in _PACKAGES)}\n")
    print(families_page.text(rows))
    PAGE.write_text(families_page.page(rows))


_PACKAGES = ("torch", "onnxruntime", "openvino")


def _kept(name: str) -> Row:
    file = OUT / f"{name}.json"
    if file.exists():
        return decode(Row, json.loads(file.read_text()), name)
    row = described(name)
    return replace(row, refusal=row.refusal or "not measured yet; run make test-families")


def _measured_apart(name: str) -> Row:
    """Measure a family in a process of its own, since a runtime may crash."""
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.family_rows", name, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return replace(_row(name, folder), refusal=f"no result in {_LIMIT_S} s")
    (folder / "log.txt").write_text(done.stdout + done.stderr)
    if done.returncode == 0:
        return _row(name, folder)
    last = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
    return replace(_row(name, folder), refusal=last[-1].removeprefix("Error: "))


def _row(name: str, folder: Path) -> Row:
    """Read as much of a row as was measured."""
    file = folder / "row.json"
    return decode(Row, json.loads(file.read_text()), name) if file.exists() else Row(name)


if __name__ == "__main__":
    main(sys.argv[1:])
