"""Loading: a bundle becomes a session on the machine that it was packed for."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Literal

from runtimes import cpu
from runtimes.backends import backend, engine_backend
from runtimes.bundles.bundle import Bundle
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.bundles.release import time_fault, utc, version_fault
from runtimes.errors import OutdatedError, UnsupportedError, UsageError
from runtimes.inference.session import Session
from runtimes.profile import HardwareProfile


def load(
    path: str | os.PathLike[str],
    *,
    settings: RuntimeSettings | None = None,
    any_machine: bool = False,
    public_key: str | os.PathLike[str] | None = None,
    at_least: int = 0,
    state: str | os.PathLike[str] | None = None,
    require: Literal["passed"] | None = None,
    attestation: str | os.PathLike[str] | None = None,
) -> Session:
    """Open a bundle for inference.

    Args:
        path: the .edge file.
        settings: threads and runtime options in place of those that were packed.
        any_machine: open the bundle even if its profile is for another machine. Outputs and latency may then differ
            from the report's.
        public_key: a PEM file; a bundle that is not signed by the owner of its private half is refused, and so is
            a bundle with a changed byte in any member. Without a key only the manifest and the model are checked.
        at_least: the lowest version that is opened; see `edgewright sign --version`.
        state: a file that remembers the highest version that was opened of each bundle; an older one is refused.
            It is made if it is missing, and needs `public_key`, since anyone can write a version without a signature.
        require: "passed" refuses a bundle without the signed statement that a gate passed this very file; see
            `edgewright attest`. It needs `public_key`.
        attestation: that statement's file; BUNDLE.intoto.json, if not given.

    Raises:
        UsageError: there is no such file, its runtime does not know an option in `settings`, or `state` cannot be
            used.
        BundleError: the file was refused; OutdatedError if it is too old, has expired, or this machine's clock is
            wrong.
        UnsupportedError: the bundle was built for another machine.
        NotInstalledError: its runtime, or the package that checks signatures, is not installed.
        BackendError: its runtime failed to load it; the runtime's text is passed on.
    """
    if state is not None and public_key is None:
        raise UsageError(f"The versions in '{state}' are those of signed bundles; give the public key, too.")
    if require not in (None, "passed"):
        raise UsageError(f"A bundle cannot be required to be '{require}'; give 'passed'.")
    if require is not None and public_key is None:
        raise UsageError("That a gate passed is a signed statement; give the public key, too.")
    if attestation is not None and require is None:
        raise UsageError(f"The attestation '{attestation}' is not asked for; give require='passed', too.")
    with Bundle(Path(path), public_key) as bundle:
        if public_key is not None:
            bundle.check()  # the signature covers every member by its digest
        if require is not None and public_key is not None:
            from runtimes.verification.attestation import attestation_file, check_passed

            check_passed(bundle, Path(attestation) if attestation else attestation_file(path), public_key)
        check_version(bundle, at_least)
        if state is None:
            return open_session(bundle, settings=settings, any_machine=any_machine)
        from runtimes.inference import highest_versions  # its tempfile would slow down every load

        manifest, file = bundle.manifest, Path(state)
        check_version(bundle, highest_versions.highest_version(file, manifest.name))
        session = open_session(bundle, settings=settings, any_machine=any_machine)
        try:
            if manifest.release is not None and manifest.release.version is not None:
                highest_versions.note_version(file, manifest.name, manifest.release.version)
        except BaseException:
            session.close()
            raise
        return session


def check_version(bundle: Bundle, at_least: int) -> None:
    """Check that a bundle is not older than a version.

    Raises:
        OutdatedError: it is older, or has no version.
    """
    if (fault := version_fault(bundle.manifest.release, at_least)) is not None:
        raise OutdatedError(f"'{bundle.path}' {fault}.")


def open_session(bundle: Bundle, *, settings: RuntimeSettings | None = None, any_machine: bool = False) -> Session:
    """Open a session on a bundle that is open already; see `load`."""
    artifact = bundle.manifest.artifact
    if (fault := time_fault(bundle.manifest.release, utc())) is not None:
        raise OutdatedError(f"'{bundle.path}' {fault}.")
    if not any_machine:
        check_machine(bundle.manifest.profile)
    if settings is not None:
        artifact = dataclasses.replace(artifact, settings=settings)
    opened = backend(artifact.runtime)
    if artifact.is_compiled_on_device:
        model = engine_backend(artifact.runtime).read_engine(bundle, artifact)
    else:
        model = bundle.read(artifact.file.as_posix())
    session = opened.load(artifact, model)
    session.monitor_drift(bundle.manifest.distributions)
    return session


def check_machine(profile: HardwareProfile) -> None:
    """Check that this machine can run bundles that were built for a profile.

    Raises:
        UnsupportedError: the architecture differs, or the processor lacks instructions; says which.
    """
    if profile.arch != cpu.arch():
        raise UnsupportedError(
            f"Profile {profile.name} is for {profile.arch}, but this machine is {cpu.arch()}; "
            "build for this machine's profile (edgewright profiles --detect)."
        )
    missing = sorted(set(profile.cpu.isa) - cpu.isa_flags()) if cpu.isa_flags() else []
    if missing:
        raise UnsupportedError(
            f"Profile {profile.name} needs {', '.join(missing)}, which this machine's processor lacks; "
            "build for this machine's profile (edgewright profiles --detect)."
        )
