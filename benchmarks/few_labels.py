"""Builds of the demo's digits with 100 labelled images, without and with 2,000 that nobody labelled.

    python -m benchmarks.few_labels | tee benchmarks/results/few_labels.txt

The model never saw any of them: 900 images are held out, 100 of them with their labels, and the 800 others three times
with noise of a twentieth of their range, 2,000 in all.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from hwbench.formats import text
from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from hwbench.results.profile_results import Results
from runtimes.sampling.closed_loop import SamplingPlan
from toolchain.cli._demo_model import prepare
from toolchain.pipeline.build import build
from toolchain.pipeline.request import BuildRequest
from toolchain.sources.input_specs import parse_input

LABELLED, UNLABELLED = 100, 2_000
_NOISE = 0.05
_SHOWN = ("Selected", "Accuracy", "Budgets ")


def main() -> None:
    """Print what each build selects, how sure it is, and how long it took."""
    with tempfile.TemporaryDirectory() as work:
        folder, out = Path(work), Path(work, "out")
        out.mkdir()
        files = prepare(folder, lambda done: None)
        _split(files.evaluation, folder)
        for name, unlabelled in (("100 labelled", None), ("and 2,000 without labels", folder / "unlabelled.npz")):
            start = time.monotonic()
            results = build(
                BuildRequest(
                    str(files.program),
                    "digits",
                    out,
                    (device_profiles.detect(this_machine()),),
                    inputs=(parse_input("image=float32[N,1,8,8]"),),
                    calibration=files.calibration,
                    evaluation=folder / "labelled.npz",
                    unlabelled=unlabelled,
                    runtimes=("onnxruntime",),
                    sampling=SamplingPlan(),
                )
            )
            print(f"{name} ({time.monotonic() - start:.0f} s)")
            _print(results)


def _split(evaluation: Path, folder: Path) -> None:
    with np.load(evaluation) as archive:
        images, labels = archive["image"], archive["labels"]
    np.savez(folder / "labelled.npz", image=images[:LABELLED], labels=labels[:LABELLED])
    others = np.tile(images[LABELLED:], (3, 1, 1, 1))[:UNLABELLED]
    noise = np.random.default_rng(0).normal(0, _NOISE, others.shape)
    np.savez(folder / "unlabelled.npz", image=(others + noise).astype(np.float32))


def _print(results: Results) -> None:
    (result,) = results.profiles
    for line in text.render(results, width=160).splitlines():
        if line.startswith(_SHOWN):
            print(f"  {line}")
    if result.unsettled is not None:
        print(f"  Unsettled  {result.unsettled.sentence}")
    for verdict in result.selected.verdicts if result.selected is not None else ():
        print(f"  {verdict.budget.text}: {verdict.outcome}, {verdict.reason}")
    for candidate in result.candidates:
        accuracy = candidate.report.accuracy if candidate.report is not None else None
        if accuracy is not None and accuracy.flips is not None and accuracy.flips.changed is not None:
            print(f"  {candidate.name}: {accuracy.flips.changed} of {accuracy.flips.n:,} decisions changed")


if __name__ == "__main__":
    main()
