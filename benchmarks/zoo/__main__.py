"""`python -m benchmarks.zoo [NAME...]`: prepare the models, and print what they score beside what they should."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.zoo import ZooModel, _score
from runtimes import plugins
from runtimes.errors import EdgewrightError

_ROW = "{:<14}{:>8}{:>13}{:>12}{:>12}{:>8}{:>8}{:>10}"
# Where a package's name is not the name it is imported by.
_PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn"}


def main() -> int:
    """Prepare the models asked for; exit code 2 when one of them cannot be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which models; by default all")
    parser.add_argument("--cache", type=Path, help="where to keep them; by default EDGEWRIGHT_CACHE or the user's")
    arguments = parser.parse_args()
    print(_ROW.format("", "model", "calibration", "", "evaluation", "", "fp32", "expected"))
    print(_ROW.format("name", "MB", "samples", "MB", "samples", "MB", "score", "score"), flush=True)
    failures, notes = 0, []
    for name in arguments.names or plugins.names("benchmarks.zoo"):
        try:
            model = plugins.load("benchmarks.zoo", name, "model").prepare(arguments.cache)
            print(_row(model), flush=True)
            notes.append(f"{name}: {model.note}")
        except (EdgewrightError, ImportError) as error:
            failures += 1
            print(f"{name}: {_sentence(error)}", file=sys.stderr)
    print("", *notes, sep="\n")
    return 2 if failures else 0


def _row(model: ZooModel) -> str:
    score = _score.fp32(model)
    with np.load(model.calibration, allow_pickle=False) as archive:
        calibration_n = len(archive[archive.files[0]])
    megabytes = [f"{file.stat().st_size / 1e6:.1f}" for file in (model.onnx, model.calibration, model.evaluation)]
    return _ROW.format(
        model.name,
        megabytes[0],
        calibration_n,
        megabytes[1],
        score.n,
        megabytes[2],
        f"{score.value:.3f}",
        f"{model.expected_score:.3f}",
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, ImportError) and error.name:
        top = error.name.partition(".")[0]
        return f"The package '{top}' is missing; install it with: pip install {_PACKAGES.get(top, top)}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
