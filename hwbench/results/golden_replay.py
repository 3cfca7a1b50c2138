"""Replay of a bundle's golden samples on a machine that is not this one: it computes, and this one compares."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hwbench.measurements import interleaved
from hwbench.targets import Runner
from runtimes.bundles.bundle import Bundle
from runtimes.inference.load import check_version
from runtimes.npz import write as write_npz
from runtimes.verification import golden
from runtimes.verification.self_test import SelfTest, signature_words


def replay_on(
    path: Path, runner: Runner, public_key: str | os.PathLike[str] | None = None, at_least: int = 0
) -> SelfTest:
    """Check every digest, the signature if a key is given, and the version; replay the golden samples elsewhere.

    Raises:
        BundleError: the bundle was refused, or holds no golden samples.
        EdgewrightError: the machine cannot run it.
    """
    with Bundle(path, public_key) as bundle, tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        bundle.check()
        check_version(bundle, at_least)
        inputs = Path(folder, "golden.npz")
        write_npz(inputs, golden.golden_inputs(bundle))
        results = golden.compare_outputs(bundle, interleaved.outputs(path, inputs, runner))
        return SelfTest(bundle.manifest, signature_words(bundle, public_key), results, ())
