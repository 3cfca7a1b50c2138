"""The self-test of a bundle: its bytes, its signature, its golden samples, and likely causes of a difference."""

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
from runtimes.inference.load import check_machine, check_version
from runtimes.verification.golden import GoldenResult, replay

_VNNI = frozenset({"avx_vnni", "avx512_vnni", "amx_int8"})


@dataclass(frozen=True)
class SelfTest:
    """The result of a self-test.

    Attributes:
        signature: the state of the signature, in words.
        results: one result per output.
        causes: sentences that name likely causes of a difference; empty if the test passed.
    """

    manifest: Manifest
    signature: str
    results: tuple[GoldenResult, ...]
    causes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True if every output is within its tolerance."""
        return all(result.passed for result in self.results)


def self_test(
    path: Path,
    *,
    public_key: str | os.PathLike[str] | None = None,
    any_machine: bool = False,
    at_least: int = 0,
) -> SelfTest:
    """Check every digest, the signature if a key is given, and the version; replay the golden samples.

    Raises:
        BundleError: the bundle was refused, or holds no golden samples.
        EdgewrightError: the bundle cannot be loaded on this machine; see `load`.
    """
    with Bundle(path, public_key) as bundle:
        check_version(bundle, at_least)
        results = replay(bundle, any_machine=any_machine)
        signature = signature_words(bundle, public_key)
        manifest = bundle.manifest
    passed = all(result.passed for result in results)
    return SelfTest(manifest, signature, results, () if passed else tuple(_causes(manifest)))


def render(test: SelfTest) -> str:
    """Write a self-test's result as lines of text."""
    manifest, artifact = test.manifest, test.manifest.artifact
    lines = [
        f"{manifest.model} for {manifest.profile.name}: {artifact.precision} ({artifact.runtime})",
        f"{len(manifest.members)} members, all digests match; {test.signature}",
    ]
    lines += [result_line(result, manifest.golden.samples) for result in test.results]
    if not test.passed:
        lines.append("The bundle is intact, but its outputs differ from those of the machine that packed it.")
    return "\n".join(map(one_line, (*lines, *test.causes)))


def result_line(result: GoldenResult, samples: int) -> str:
    """Write the result of one output as a line of text."""
    word = "ok" if result.passed else "MISMATCH"
    return (
        f"{word}: {result.output} differs by {result.error:.2e} (tolerance {result.tolerance:.0e}) on {samples} samples"
    )


def signature_words(bundle: Bundle, public_key: str | os.PathLike[str] | None) -> str:
    """Describe the state of a bundle's signature, which was checked when the bundle was opened with a key."""
    if public_key is not None:
        return "signed by the owner of the key"
    if bundle.is_signed:
        return "signed, but not checked (give --public-key)"
    return "not signed"


def _causes(manifest: Manifest) -> Iterator[str]:
    artifact = manifest.artifact
    built = artifact.tool_versions.get(artifact.runtime)
    here = backend(artifact.runtime).version()
    if built is not None and built != here:
        yield f"Possible cause: the bundle was packed with {artifact.runtime} {built}, and {here} is installed here."
    if artifact.precision.startswith("int8") and cpu.arch() == "x86_64" and not _VNNI & cpu.isa_flags():
        yield (
            "Possible cause: this processor has no VNNI, so sums of int8 products may saturate (onnxruntime#12072); "
            "build for its own profile (edgewright profiles --detect)."
        )
    try:
        check_machine(manifest.profile)
    except UnsupportedError as error:
        yield f"Possible cause: {error}"
    if manifest.profile.arch == cpu.arch() and built == here:
        yield (
            "Other known causes: a processor of another generation, for which the runtime chooses other kernels, or a "
            "runtime that was built with other options."
        )
