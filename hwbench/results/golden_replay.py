"""Replay of a bundle's golden samples on a machine that is not this one: it computes, and this one compares."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hwbench.measurements import interleaved
from hwbench.targets import Runner
from runtimes.bundles.bundle import Bundle
from runtimes.npz import write as write_npz
from runtimes.verification import golden
from runtimes.verification.self_test import SelfTest, signature_words


def replay_on(path: Path, runner: Runner, public_key: str | os.PathLike[str] | None = None) -> SelfTest:
    """Check every digest, and the signature if a key is given; replay the golden samples on another machine.

    Raises:
        BundleError: the bundle was refused, or holds no golden samples.
        EdgewrightError: the machine cannot run it.
    """
    with Bundle(path, public_key) as bundle, tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        bundle.check()
        inputs = Path(folder, "golden.npz")
        write_npz(inputs, golden.golden_inputs(bundle))
        results = golden.compare_outputs(bundle, interleaved.outputs(path, inputs, runner))
        return SelfTest(bundle.manifest, signature_words(bundle, public_key), results, ())
