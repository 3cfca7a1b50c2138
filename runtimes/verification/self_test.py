"""Whether a bundle is what was packed, and computes here what it did then; and if not, why that may be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtimes import cpu
from runtimes.backends import backend
from runtimes.bundles.bundle import Bundle
from runtimes.bundles.manifest import Manifest
from runtimes.errors import UnsupportedError, one_line
from runtimes.inference.load import check_machine
from runtimes.verification.golden import GoldenResult, replay

_VNNI = frozenset({"avx_vnni", "avx512_vnni", "amx_int8"})


@dataclass(frozen=True)
class SelfTest:
    """What a self-test found.

    Attributes:
        signature: what is known of it, in words.
        results: one per output.
        causes: sentences on why outputs may differ; empty where they do not.
    """

    manifest: Manifest
    signature: str
    results: tuple[GoldenResult, ...]
    causes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Every output is within its tolerance."""
        return all(result.passed for result in self.results)


def self_test(path: Path, *, public_key: str | os.PathLike[str] | None = None, any_machine: bool = False) -> SelfTest:
    """Check every digest, and the signature if a key is given; replay the golden samples.

    Raises:
        BundleError: the bundle was refused, or holds no golden samples.
        EdgewrightError: it cannot be loaded here; see `load`.
    """
    with Bundle(path, public_key) as bundle:
        results = replay(bundle, any_machine=any_machine)
        signature = "signed by the owner of the key" if public_key is not None else _signature_words(bundle)
        manifest = bundle.manifest
    passed = all(result.passed for result in results)
    return SelfTest(manifest, signature, results, () if passed else tuple(_causes(manifest)))


def render(test: SelfTest) -> str:
    """The lines to print."""
    manifest, artifact = test.manifest, test.manifest.artifact
    lines = [
        f"{manifest.model} for {manifest.profile.name}: {artifact.precision} on {artifact.runtime}",
        f"{len(manifest.members)} members, every digest right; {test.signature}",
    ]
    lines += [result_line(result, manifest.golden.samples) for result in test.results]
    if not test.passed:
        lines.append("The bundle is intact, but this machine computes something else than the one it was packed on.")
    return "\n".join(map(one_line, (*lines, *test.causes)))


def result_line(result: GoldenResult, samples: int) -> str:
    """What is said of one output."""
    word = "ok" if result.passed else "MISMATCH"
    return (
        f"{word}: {result.output} differs by {result.error:.2e} (tolerance {result.tolerance:.0e}) on {samples} samples"
    )


def _signature_words(bundle: Bundle) -> str:
    if bundle.is_signed:
        return "signed by somebody (give --public-key to check by whom)"
    return "not signed"


def _causes(manifest: Manifest) -> Iterator[str]:
    artifact = manifest.artifact
    built = artifact.tool_versions.get(artifact.runtime)
    here = backend(artifact.runtime).version()
    if built is not None and built != here:
        yield f"Cause to look at: it was packed with {artifact.runtime} {built}, and {here} is installed here."
    if artifact.precision.startswith("int8") and cpu.arch() == "x86_64" and not _VNNI & cpu.isa_flags():
        yield (
            "Cause to look at: this processor has no VNNI, so sums of int8 products may saturate (onnxruntime#12072); "
            "build for its own profile (edgewright profiles --detect)."
        )
    try:
        check_machine(manifest.profile)
    except UnsupportedError as error:
        yield f"Cause to look at: {error}"
    if manifest.profile.arch == cpu.arch() and built == here:
        yield (
            "Known causes besides: another generation of the processor, for which the runtime chooses other kernels; "
            "a runtime that was built differently."
        )
