"""Loading: a bundle becomes a session on the machine that it was packed for."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from runtimes import cpu
from runtimes.backends import backend, engine_backend
from runtimes.bundles.bundle import Bundle
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import UnsupportedError
from runtimes.inference.session import Session
from runtimes.profile import HardwareProfile


def load(
    path: str | os.PathLike[str],
    *,
    settings: RuntimeSettings | None = None,
    any_machine: bool = False,
    public_key: str | os.PathLike[str] | None = None,
) -> Session:
    """Open a bundle for inference.

    Args:
        path: the .edge file.
        settings: threads and runtime options in place of those that were packed.
        any_machine: open the bundle even if its profile is for another machine. Outputs and latency may then differ
            from the report's.
        public_key: a PEM file; a bundle that is not signed by the owner of its private half is refused, and so is
            a bundle with a changed byte in any member. Without a key only the manifest and the model are checked.

    Raises:
        UsageError: there is no such file, or its runtime does not know an option in `settings`.
        BundleError: the file was refused.
        UnsupportedError: the bundle was built for another machine.
        NotInstalledError: its runtime, or the package that checks signatures, is not installed.
        BackendError: its runtime failed to load it; the runtime's text is passed on.
    """
    with Bundle(Path(path), public_key) as bundle:
        if public_key is not None:
            bundle.check()  # the signature covers every member by its digest
        return open_session(bundle, settings=settings, any_machine=any_machine)


def open_session(bundle: Bundle, *, settings: RuntimeSettings | None = None, any_machine: bool = False) -> Session:
    """Open a session on a bundle that is open already; see `load`."""
    artifact = bundle.manifest.artifact
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
