"""Another interpreter on this machine as a target: other versions of a runtime or of NumPy run the same bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import hwbench
import runtimes
from hwbench.child_process import Interpreter, run_module
from hwbench.targets.local import SAME_EVERY_TIME, LocalTarget

# Variables that would lead another interpreter to our packages, or away from the folder of the links.
_OF_THIS_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH")


@dataclass(frozen=True)
class OtherPython(LocalTarget):
    """A target that runs bundles with another interpreter, which needs NumPy and the bundle's runtime alone.

    It runs this release's `runtimes` and `hwbench`, so that both sides measure by the same code.

    Attributes:
        python: the interpreter, Python 3.10 or later.
    """

    python: Path = Path("python3")

    def _run_module(
        self, module: str, arguments: Sequence[str], folder: Path, limit_s: float, under: Sequence[str] = ()
    ) -> None:
        # `python -m` looks in the working directory first. Our own folder of packages would bring our versions along.
        for package in (runtimes, hwbench):
            here = Path(str(package.__file__)).parent
            (folder / here.name).symlink_to(here, target_is_directory=True)
        variables = {name: value for name, value in os.environ.items() if name not in _OF_THIS_PYTHON}
        variables |= SAME_EVERY_TIME if under else {}
        run_module(module, arguments, folder, limit_s, Interpreter((*under, str(self.python)), variables))
