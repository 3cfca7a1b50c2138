"""Packing that is killed at any moment leaves the old bundle or the new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
KILLS = 30

# Packs the same bundle under two names of its model in turn, in children that are killed at random moments; tells
# after each which one is there. The children are forked, since importing takes longer than packing.
PROGRAM = """
import dataclasses, json, os, random, signal, sys, time
from pathlib import Path
from runtimes.bundles.bundle import Bundle
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

path = Path(sys.argv[1])
with Bundle(path) as bundle:
    manifest, model = bundle.manifest, bundle.read("artifact/model.onnx")
file = path.with_name("model.onnx")
file.write_bytes(model)
artifact = dataclasses.replace(manifest.artifact, file=file)
recipe = Recipe(artifact.precision)
contents = Contents("old", manifest.profile, artifact, recipe, {}, {}, report="x" * 4_000_000)
pack(contents, path)
random.seed(0)
found = []
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        while True:
            for name in ("new", "old"):
                pack(dataclasses.replace(contents, model=name), path)
    for _ in range(random.randint(0, 2)):  # after some that went well, and somewhere within the next
        there = path.stat().st_ino
        while path.stat().st_ino == there:
            time.sleep(1e-4)
    time.sleep(random.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with Bundle(path) as bundle:
        bundle.check()
        found.append(bundle.manifest.model)
print(json.dumps(found))
"""


def test_a_kill_at_any_moment_leaves_a_whole_bundle(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.edge"
    path.write_bytes(bundle.read_bytes())
    command = [sys.executable, "-c", PROGRAM, str(path), str(KILLS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == KILLS
    assert set(found) == {"old", "new"}  # both were met, so the kills came at different moments
